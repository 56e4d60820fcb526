// The order of a decision and what an exchange of snapshots does to it: no socket, tokens of the stand-in's keys.

import DevIssuer
import Dispatch
import POSIX
import Policy
import Telemetry
import Testing
import Token

@testable import Authorization
@testable import Verification

private let audience = "32eafc7626e737fcc5b9eb5df2ef2ee2"
private let now = 1_800_000_000.0

/// An authorizer with a pool of one worker, asked as a front end would.
private final class Asking {
  static let team = try! StandInIssuer(issuer: "https://acme.cloudflareaccess.com")
  static let issuer = Expectations(issuer: Array("https://acme.cloudflareaccess.com".utf8))

  var authorizer: Authorizer
  let counters = LoopCounters()
  let finished = DispatchSemaphore(value: 0)

  static func keys() throws -> [KeySet] {
    let text = try team.keySet()
    return [KeySet(try JWKSet.read(text.span, issuer: issuer.issuer, algorithms: .rs256), generation: 1)]
  }

  static func policies(
    _ policies: [PolicyDefinition], headers: [HeaderDefinition] = [], audiences: [String] = [audience]
  ) throws -> PolicySet {
    try PolicyDefinitions(applications: [
      ApplicationDefinition(name: "wiki", audiences: audiences, headers: headers, policies: policies)
    ]).compile()
  }

  static func allow(_ kind: SelectorKind, _ values: [String] = []) -> PolicyDefinition {
    PolicyDefinition(
      name: "p", action: .allow, who: SelectorsDefinition(include: [SelectorDefinition(kind, values: values)]))
  }

  init(_ policies: PolicySet? = nil, wait: Int64 = 0) throws {
    let finished = finished
    let parts = AuthorizerParts(
      loop: 0, pool: VerificationPool(cells: 8, workers: 1, wake: [{ finished.signal() }]), poolCells: 8,
      bells: [UnknownKidBell {}], keyWaitPlaces: KeyWaitPlaces(), unknownKidWait: wait, tokenCacheBytes: 1 << 20,
      counters: counters, shared: SharedCounters())
    authorizer = Authorizer(
      parts, Snapshot(keys: try Self.keys(), rules: Rules(issuers: [Self.issuer], policies: policies)))
  }

  /// A change of what it judges by, as the control thread makes it.
  func exchange(_ change: (inout Snapshot) -> Void) {
    var snapshot = authorizer.snapshot
    change(&snapshot)
    authorizer.use(snapshot)
  }

  static func token(_ more: String = "", email: String = "ada@acme.com", aud: String = audience) throws -> [UInt8] {
    try team.sign(
      claims: """
        {"iss":"https://acme.cloudflareaccess.com","aud":["\(aud)"],"email":"\(email)","sub":"s","iat":1799999000,\
        "exp":1800000900\(more)}
        """)
  }

  func ask(_ segment: String, _ token: [UInt8]?, mayWait: Bool = true, _ fields: [String: String] = [:]) -> AuthOutcome
  {
    var bytes = Array(segment.utf8)
    let segment = 0..<bytes.count
    var assertion = Assertion.missing
    if let token {
      assertion = .one(bytes.count..<bytes.count + token.count)
      bytes += token
    }
    var facts = RequestFacts()
    func fact(_ name: String) -> RequestFact {
      guard let value = fields[name] else { return .missing }
      bytes += value.utf8
      return RequestFact(bytes.count - value.utf8.count..<bytes.count)
    }
    (facts.method, facts.host, facts.target) = (fact("method"), fact("host"), fact("path"))
    var request = AuthRequest(
      segment: segment, target: authorizer.target(segment, in: bytes.span), assertion: assertion,
      requester: Requester(connection: 1, peer: 1), mayWait: mayWait)
    request.facts = facts
    return authorizer.authorize(request, in: bytes.span, now: now)
  }

  func settle() -> AuthOutcome? {
    _ = finished.wait(timeout: .now() + .seconds(30))
    authorizer.takeFinished()
    var last: AuthOutcome?
    while let answer = authorizer.nextAnswer(now: now, milliseconds: 0) { last = answer.outcome }
    return last
  }

  /// What is said at once, or after the verification.
  func verdict(_ segment: String, _ token: [UInt8]?, _ fields: [String: String] = [:]) -> String {
    var outcome = ask(segment, token, fields)
    if case .wait = outcome, let settled = settle() { outcome = settled }
    return text(outcome)
  }

  func text(_ outcome: AuthOutcome?) -> String {
    switch outcome {
    case .allow(let allowance):
      var lines: [UInt8] = []
      authorizer.withFieldLines(of: allowance) { for place in $0.indices { lines.append($0[place]) } }
      let user = String(decoding: lines, as: UTF8.self).split(separator: "\r\n").first ?? ""
      return "allow \(user.dropFirst(13))"
    case .deny(let denial): return "\(denial.reason.name)"
    case .wait: return "wait"
    case .later: return "later"
    case nil: return "nothing"
    }
  }
}

@Suite struct AuthorizerTests {
  @Test func `without applications a token is verified, remembered, and good for its audience alone`() throws {
    let asking = try Asking()
    let token = try Asking.token()
    #expect(asking.text(asking.ask(audience, token)) == "wait")
    #expect(asking.text(asking.settle()) == "allow ada@acme.com")
    #expect(asking.text(asking.ask(audience, token)) == "allow ada@acme.com", "remembered")
    #expect(asking.verdict("other", token) == "audience")
    #expect(asking.verdict(audience, nil) == "missing")
    #expect(asking.verdict(audience, Array(token.dropLast(4)) + Array("AAAA".utf8)) == "signature")
  }

  @Test func `what may not wait is put off and counts nothing`() throws {
    let asking = try Asking()
    #expect(asking.text(asking.ask(audience, try Asking.token(), mayWait: false)) == "later")
  }

  @Test func `name and audience mean the application, whose policies decide at every hit`() throws {
    let asking = try Asking(try Asking.policies([Asking.allow(.emailDomains, ["acme.com"])]))
    let (good, bad) = (try Asking.token(), try Asking.token(email: "eve@evil.com"))
    for segment in ["wiki", audience] {
      for _ in 0..<2 {
        #expect(asking.verdict(segment, good) == "allow ada@acme.com")
        #expect(asking.verdict(segment, bad) == "not_allowed")
      }
    }
    #expect(asking.verdict("nobody", good) == "unknown_application")
    #expect(asking.verdict("wiki", try Asking.token(aud: "wiki")) == "audience")
  }

  @Test func `a bypass needs no token and names nobody`() throws {
    let bypass = PolicyDefinition(name: "b", action: .bypass, match: MatchDefinition(methods: ["GET"]))
    let asking = try Asking(try Asking.policies([bypass]))
    #expect(asking.verdict("wiki", nil, ["method": "GET"]) == "allow ")
    #expect(asking.verdict("wiki", nil, ["method": "POST"]) == "missing")
    #expect(asking.verdict("wiki", nil) == "missing")
  }

  @Test func `an identity too large to be judged by is denied`() throws {
    let who = SelectorsDefinition(include: [SelectorDefinition(.claim, claimPath: "n", values: ["1"])])
    let policies = [PolicyDefinition(name: "p", action: .allow, who: who)]
    let asking = try Asking(try Asking.policies(policies))
    func list(_ count: Int) -> String { ",\"n\":[" + Array(repeating: "1", count: count).joined(separator: ",") + "]" }
    #expect(asking.verdict("wiki", try Asking.token(list(100))) == "allow ada@acme.com")
    #expect(asking.verdict("wiki", try Asking.token(list(2500))) == "identity")
  }
}

@Suite struct SnapshotTests {
  @Test func `a key that leaves takes its remembered tokens along`() throws {
    let asking = try Asking()
    let token = try Asking.token()
    #expect(asking.verdict(audience, token) == "allow ada@acme.com")
    asking.exchange { $0.keys = [] }
    #expect(asking.verdict(audience, token) == "keys_unavailable")
  }

  @Test func `new policies hold for remembered tokens, which stay remembered`() throws {
    let asking = try Asking(try Asking.policies([Asking.allow(.everyone)]))
    let token = try Asking.token()
    #expect(asking.verdict("wiki", token) == "allow ada@acme.com")
    let stricter = try Asking.policies([Asking.allow(.emails, ["bob@acme.com"])])
    asking.exchange { $0.rules = Rules(issuers: [Asking.issuer], policies: stricter) }
    #expect(asking.text(asking.ask("wiki", token)) == "not_allowed", "at once: it is remembered")
  }

  @Test(arguments: ["audiences", "plan", "leeway", "applications"])
  func `what a remembered identity rests on makes it forgotten`(change: String) throws {
    let asking = try Asking(try Asking.policies([Asking.allow(.everyone)]))
    let token = try Asking.token()
    #expect(asking.verdict("wiki", token) == "allow ada@acme.com")
    var issuer = Asking.issuer
    var policies: PolicySet? = try Asking.policies([Asking.allow(.everyone)])
    switch change {
    case "audiences": policies = try Asking.policies([Asking.allow(.everyone)], audiences: ["other"])
    case "plan":
      policies = try Asking.policies(
        [Asking.allow(.everyone)], headers: [HeaderDefinition(name: "X-A", content: .claim(path: "a", join: nil))])
    case "leeway": issuer = Expectations(issuer: issuer.issuer, leeway: 0)
    default: policies = nil
    }
    asking.exchange { $0.rules = Rules(issuers: [issuer], policies: policies) }
    #expect(asking.authorizer.cache.counters.entries == 0)
    #expect(
      asking.verdict("wiki", token) == (change == "plan" || change == "leeway" ? "allow ada@acme.com" : "audience"))
  }

  @Test func `a revocation holds for remembered tokens and for those that wait`() throws {
    let asking = try Asking(try Asking.policies([Asking.allow(.everyone)]))
    let (remembered, waiting) = (try Asking.token(), try Asking.token(",\"x\":1"))
    #expect(asking.verdict("wiki", remembered) == "allow ada@acme.com")
    #expect(asking.text(asking.ask("wiki", waiting)) == "wait")
    asking.exchange { $0.revocations = RevocationTable([Revocation(.email, Array("ADA@acme.com".utf8))]) }
    #expect(asking.text(asking.settle()) == "revoked")
    #expect(asking.text(asking.ask("wiki", remembered)) == "revoked")
  }

  @Test func `a request that waits is judged by the policies of its answer, whatever places they have`() throws {
    let asking = try Asking(try Asking.policies([Asking.allow(.everyone)]))
    #expect(asking.text(asking.ask("wiki", try Asking.token())) == "wait")
    let other = try PolicyDefinitions(applications: [
      ApplicationDefinition(name: "open", audiences: ["open-audience"], policies: [Asking.allow(.everyone)]),
      ApplicationDefinition(
        name: "wiki", audiences: [audience], hosts: [Positioned("wiki.acme.com", at: .start)],
        policies: [Asking.allow(.everyone)]),
    ]).compile()
    asking.exchange { $0.rules = Rules(issuers: [Asking.issuer], policies: other) }
    #expect(asking.text(asking.settle()) == "wrong_host")
  }

  @Test func `counts go to the application, the policy, the verdict and the reason`() throws {
    let policies = try Asking.policies([Asking.allow(.emails, ["ada@acme.com"])])
    let asking = try Asking(policies)
    let counters = DecisionCounters(policies)
    asking.exchange { $0.decisions = [counters] }
    for _ in 0..<3 { _ = asking.verdict("wiki", try Asking.token()) }
    _ = asking.verdict("wiki", try Asking.token(email: "eve@evil.com"))
    _ = asking.verdict("wiki", nil)
    _ = asking.verdict("nobody", nil)
    let lines = counters.figures().map {
      "\($0.labels.application) \($0.labels.policy) \($0.labels.verdict) \($0.labels.reason) \($0.count)"
    }
    #expect(
      lines == [
        "- - deny unknown_application 1", "wiki - deny missing 1", "wiki - deny not_allowed 1", "wiki p allow - 3",
      ])
  }
}

@Suite struct IdentityRecordFillingTests {
  @Test(arguments: [
    "", ",\"country\":\"CH\",\"identity_nonce\":\"n\"",
    ",\"custom\":{\"a\":\"x\",\"b\":{\"c\":[1,1.50,true,null,[1],\"y\"]}}",
    ",\"a\":{\"z\":1},\"custom\":{\"a\":\"x\"}", ",\"a\":null,\"custom\":{\"a\":\"x\"}", ",\"b\":{\"c\":{}}",
    ",\"a\":\"\\u00e9\\n\\\"\",\"country\":5", ",\"b\":[{\"c\":1}],\"custom\":[]", ",\"b\":{\"c\":1e400}",
  ])
  func `a token's record is the one that policy tests judge by`(more: String) throws {
    let claims: [String: [ClaimValue.Member]] = [
      "": [],
      ",\"country\":\"CH\",\"identity_nonce\":\"n\"": [
        .init("country", .text("CH")), .init("identity_nonce", .text("n")),
      ],
      ",\"custom\":{\"a\":\"x\",\"b\":{\"c\":[1,1.50,true,null,[1],\"y\"]}}": [
        .init(
          "custom",
          .object([
            .init("a", .text("x")),
            .init(
              "b",
              .object([
                .init(
                  "c",
                  .list([.number("1"), .number("1.50"), .boolean(true), .null, .list([.number("1")]), .text("y")]))
              ])),
          ]))
      ],
      ",\"a\":{\"z\":1},\"custom\":{\"a\":\"x\"}": [
        .init("a", .object([.init("z", .number("1"))])), .init("custom", .object([.init("a", .text("x"))])),
      ],
      ",\"a\":null,\"custom\":{\"a\":\"x\"}": [.init("a", .null), .init("custom", .object([.init("a", .text("x"))]))],
      ",\"b\":{\"c\":{}}": [.init("b", .object([.init("c", .object([]))]))],
      ",\"a\":\"\\u00e9\\n\\\"\",\"country\":5": [.init("a", .text("é\n\"")), .init("country", .number("5"))],
      ",\"b\":[{\"c\":1}],\"custom\":[]": [
        .init("b", .list([.object([.init("c", .number("1"))])])), .init("custom", .list([])),
      ],
      ",\"b\":{\"c\":1e400}": [.init("b", .object([.init("c", .number("1e400"))]))],
    ]
    let members = try #require(claims[more])
    let token = try Asking.token(more)
    let plan = ClaimPlan(["a", "b.c", "country", "custom.a"].map { ClaimPath($0)! })
    var reader = TokenReader()
    #expect(reader.read(token.span) == nil)
    var written = IdentityRecordWriter()
    var scratch: [UInt8] = []
    #expect(written.write(reader, token: token.span, plan: plan, issuer: 3, scratch: &scratch))
    var expected = IdentityRecordWriter()
    func text(_ name: String) -> String? {
      if case .text(let text) = members.first(where: { $0.name == name })?.value { text } else { nil }
    }
    let identity = CaseIdentity(
      email: "ada@acme.com", subject: "s", country: text("country"), nonce: text("identity_nonce"),
      claims: members.filter { text("country") == nil || !["country", "identity_nonce"].contains($0.name) })
    let digest = SHA256Digest(of: token.span).bytes
    identity.write(
      to: &expected, plan: plan, issuer: 3, issuedAt: 1_799_999_000, tokenDigest: (0..<32).map { digest[$0] })
    #expect(written.bytes == expected.bytes)
  }
}
