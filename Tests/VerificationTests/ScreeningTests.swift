// What is said of a token before its signature and behind it, where its claims are left for later: nothing allows but a
// full judgement, and a signature that is good changes no verdict of the claims.

import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct ScreeningTests {
  /// Much more work than a screening gives.
  static let dense = "[" + String(repeating: "1,", count: 1000) + "1]"

  private static func header(_ changes: [String: String?] = [:], kid: String = Fixture.team.current.kid) -> String {
    let usual: [(String, String?)] = [("alg", "\"RS256\""), ("kid", "\"\(kid)\""), ("typ", "\"JWT\"")]
    let members =
      usual.map { ($0.0, changes[$0.0] ?? $0.1) }
      + changes.filter { change in
        !usual.contains { $0.0 == change.key }
      }
    return "{" + members.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }.joined(separator: ",") + "}"
  }

  private static func claims(
    _ changes: [String: String?] = [:], issuer: String = Fixture.cloudflare, extra: String = dense
  ) -> String {
    let usual: [(String, String)] = [
      ("aud", "[\"\(Fixture.audience)\"]"), ("email", "\"jane@example.com\""), ("exp", "\(Fixture.now + 600)"),
      ("iat", "\(Fixture.now)"), ("nbf", "\(Fixture.now)"), ("iss", "\"\(issuer)\""), ("type", "\"app\""),
      ("sub", "\"s\""),
    ]
    let members = usual.compactMap { name, value in
      (changes[name] ?? value).map { "\"\(name)\":\($0)" }
    }
    return "{" + members.joined(separator: ",") + ",\"x\":\(extra)}"
  }

  private static func token(
    header: String = header(), _ claims: String = claims(), by key: SigningKey = Fixture.team.current
  ) throws -> [UInt8] {
    try StandInIssuer.sign(header: Array(header.utf8), payload: Array(claims.utf8), key: key)
  }

  /// What a loop would answer with a pool that verifies at once: screening, signature, confirmation.
  private func outcome(
    _ token: [UInt8], keys: [KeySet]? = nil, later: [KeySet]? = nil, judge: Judge = Fixture.judge(),
    now: Int = Fixture.now
  ) throws -> String {
    let keys = try keys ?? [Fixture.keySet(of: Fixture.team)]
    let audience = Array(Fixture.audience.utf8)
    var reader = TokenReader()
    let screening = judge.screen(
      token: token.span, audience: audience.span, now: Double(now), keys: keys, reader: &reader)
    switch screening {
    case .refused(let reason): return "at once: \(reason.name)"
    case .needsSignature(let key):
      var verifier = try Fixture.verifier()
      let signingInput = token.span.extracting(reader.signingInput)
      let isGood = reader.withSignature { verifier.verify(signingInput: signingInput, signature: $0, key: key) }
      guard isGood else { return "signature" }
      let verdict = judge.confirm(
        token: token.span, audience: audience.span, now: Double(now), keys: later ?? keys, verifiedBy: key,
        reader: &reader)
      switch verdict {
      case .allowed:
        var user: [UInt8] = []
        reader.appendUser(to: &user)
        return "allowed \(String(decoding: user, as: UTF8.self))"
      case .denied(let reason): return "\(reason.name)"
      }
    }
  }

  private static func spoiled(_ token: [UInt8]) -> [UInt8] {
    var token = token
    let at = token.count - 20
    token[at] = token[at] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
    return token
  }

  /// Headers that are dense, claims that are, and both.
  static let shapes: [(header: String, extra: String)] = [
    (header(), dense), (header(["x": "[" + String(repeating: "1,", count: 200) + "1]"]), "1"),
    (header(["x": "[" + String(repeating: "1,", count: 200) + "1]"]), dense),
  ]

  @Test(arguments: 0..<shapes.count) func `a dense token of good claims is allowed by a good signature alone`(
    _ shape: Int
  ) throws {
    let (header, extra) = Self.shapes[shape]
    let token = try Self.token(header: header, Self.claims(extra: extra))
    #expect(try outcome(token) == "allowed jane@example.com")
    #expect(try outcome(Self.spoiled(token)) == "signature")
  }

  static let badClaims: [(String, String?, Reason)] = [
    ("iss", "\"https://evil.example\"", .issuer), ("aud", "\"other\"", .audience),
    ("exp", "\(Fixture.now - 31)", .expired), ("exp", nil, .expired),
    ("nbf", "\(Fixture.now + 31)", .notYetValid), ("iat", "\(Fixture.now + 31)", .issuedInFuture),
    ("type", "\"org\"", .tokenType), ("email", "\"a@b@c\"", .identity), ("sub", "1", .identity),
  ]

  @Test(arguments: badClaims)
  func `a bad claim of a dense token is denied for its own reason by a good signature, else by the signature`(
    claim: String, value: String?, reason: Reason
  ) throws {
    for (header, extra) in Self.shapes {
      let token = try Self.token(header: header, Self.claims([claim: value], extra: extra))
      #expect(try outcome(token) == "\(reason.name)", "\(claim)")
      #expect(try outcome(Self.spoiled(token)) == "signature", "\(claim)")
    }
    // One that is not dense is refused at once.
    #expect(try outcome(Self.token(Self.claims([claim: value], extra: "1"))) == "at once: \(reason.name)")
  }

  @Test(arguments: [
    ",\"x\":1}", ",\"y\":01}", ",\"y\":\"\\ud800\"}", "", "}}", ",\"y\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
  ])
  func `what is malformed behind what is dense is found behind a good signature`(end: String) throws {
    for (header, extra) in Self.shapes {
      let token = try Self.token(header: header, Self.claims(extra: extra).dropLast() + end)
      #expect(try outcome(token) == "malformed")
      #expect(try outcome(Self.spoiled(token)) == "signature")
    }
    #expect(try outcome(Self.token(Self.claims(extra: "1").dropLast() + end)) == "at once: malformed")
  }

  @Test func `what the header alone tells refuses a dense token at once`() throws {
    let stranger = try SigningKey.generate(.rs256)
    for extra in ["1", Self.dense] {
      let claims = Self.claims(extra: extra)
      #expect(try outcome(Self.token(header: Self.header(["alg": "\"none\""]), claims)) == "at once: algorithm")
      #expect(try outcome(Self.token(header: Self.header(["alg": "\"PS256\""]), claims)) == "at once: algorithm")
      #expect(try outcome(Self.token(header: Self.header(["typ": "\"x\""]), claims)) == "at once: token_type")
      #expect(try outcome(Self.token(header: Self.header(kid: "other"), claims)) == "at once: key_unknown")
      #expect(try outcome(Self.token(header: Self.header(["kid": "7"]), claims)) == "at once: malformed")
      let neither = try Self.token(header: Self.header(["alg": "\"none\""], kid: "other"), claims)
      #expect(try outcome(neither) == "at once: algorithm")
      #expect(try outcome(neither, keys: []) == "at once: algorithm")
      let token = try Self.token(claims)
      #expect(try outcome(token + Array("AAAA".utf8)) == "at once: signature")
      #expect(try outcome(token, keys: []) == "at once: keys_unavailable")
      #expect(try outcome(Self.token(claims, by: stranger)) == "signature")
    }
  }

  @Test func `a dense token is judged by the time and the keys of the moment when it is confirmed`() throws {
    let token = try Self.token()
    let strange = try Fixture.keySet(of: [SigningKey.generate(.rs256)], issuer: Fixture.cloudflare, algorithms: .rs256)
    #expect(try outcome(token, later: [strange]) == "key_unknown")
    #expect(try outcome(token, later: []) == "keys_unavailable")
    #expect(try outcome(token, now: Fixture.now + 700) == "expired")
    // Another key of the same kid than the one that verified.
    let keys = try Fixture.keySet(of: Fixture.team)
    let audience = Array(Fixture.audience.utf8)
    var reader = TokenReader()
    let verdict = Fixture.judge().confirm(
      token: token.span, audience: audience.span, now: Double(Fixture.now), keys: [keys], verifiedBy: strange.keys[0],
      reader: &reader)
    #expect(verdict == .denied(.keyUnknown))
  }

  @Test func `without the confirmation a dense token names nobody and is remembered for no time`() throws {
    let token = try Self.token()
    let keys = try Fixture.keySet(of: Fixture.team)
    let audience = Array(Fixture.audience.utf8)
    var reader = TokenReader()
    let judge = Fixture.judge()
    let screening = judge.screen(
      token: token.span, audience: audience.span, now: Double(Fixture.now), keys: [keys], reader: &reader)
    guard case .needsSignature = screening else {
      Issue.record("not unsettled")
      return
    }
    let validity = judge.validity(of: reader)
    let kind = reader.kind
    var written: [UInt8] = []
    reader.appendUser(to: &written)
    reader.appendSubject(to: &written)
    let hasToken = reader.hasToken
    #expect(validity == nil && kind == nil && written.isEmpty && !hasToken)
  }

  // MARK: - The first answer

  /// As a loop gives it, in words.
  private func answer(
    _ token: [UInt8], _ cache: borrowing TokenCache, keys: KeySet, now: Int = Fixture.now
  ) -> String {
    let audience = Array(Fixture.audience.utf8)
    if let hit = cache.lookup(audience: audience.span, token: token.span, now: Double(now)) {
      return cache.withPayload(of: hit) { bytes in String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self) }
    }
    var reader = TokenReader()
    let answer = Fixture.judge().firstAnswer(
      token: token.span, audience: audience.span, now: Double(now), keys: [keys], reader: &reader)
    switch answer {
    case .refused(let reason): return "\(reason.name)"
    case .needsSignature: return "needs its signature"
    }
  }

  @Test func `a token of any length is looked up first, and screened when it is not remembered`() throws {
    let keys = try Fixture.keySet(of: Fixture.team)
    var cache = TokenCache(limit: 1 << 20)
    cache.keep(only: [keys])
    let letters = "\"" + String(repeating: "a", count: 4000) + "\""
    for extra in [letters, Self.dense, "1"] {
      let token = try Self.token(Self.claims(extra: extra))
      #expect(answer(token, cache, keys: keys) == "needs its signature")
      cache.insert(
        audience: Array(Fixture.audience.utf8).span, token: token.span, key: keys.keys[0],
        validFrom: Double(Fixture.now - 30),
        refuseFrom: Double(Fixture.now + 630), payload: Array("reply".utf8).span)
      #expect(answer(token, cache, keys: keys) == "reply")
      let over = answer(token, cache, keys: keys, now: Fixture.now + 630)
      #expect(over == (extra == Self.dense ? "needs its signature" : "expired"))
      #expect(answer(Self.spoiled(token), cache, keys: keys) == "needs its signature")
      let list = token.dropLast(30) + [UInt8(ascii: ",")] + token.suffix(29)
      #expect(answer(Array(list), cache, keys: keys) == "ambiguous")
    }
  }

  // MARK: - Several issuers

  private static let both = Judge([
    Expectations(issuer: Array(Fixture.cloudflare.utf8)),
    Expectations(issuer: Array(Fixture.other.utf8), algorithms: .es256, leeway: 0),
  ])

  @Test func `with several issuers the kid of a dense token picks its key, and its iss must then agree`() throws {
    let curve = try #require(Fixture.signers[.es256])
    let rsaKeys = try Fixture.keySet(of: Fixture.team)
    let curveKeys = try Fixture.keySet(of: [curve], algorithms: .es256)
    let sets = [curveKeys, rsaKeys]
    func curved(_ claims: String, alg: String = "ES256") throws -> [UInt8] {
      try Self.token(header: Self.header(["alg": "\"\(alg)\""], kid: curve.kid), claims, by: curve)
    }
    let own = Self.claims(issuer: Fixture.other)
    #expect(try outcome(Self.token(), keys: sets, judge: Self.both) == "allowed jane@example.com")
    #expect(try outcome(curved(own), keys: sets, judge: Self.both) == "allowed jane@example.com")
    // A key of one vouches for no token that names the other, or neither.
    #expect(try outcome(curved(Self.claims()), keys: sets, judge: Self.both) == "algorithm")
    #expect(try outcome(Self.token(own), keys: sets, judge: Self.both) == "algorithm")
    let nobody = Self.claims(issuer: "https://nobody.example")
    #expect(try outcome(curved(nobody), keys: sets, judge: Self.both) == "issuer")
    // Each issuer's own algorithms and leeway.
    #expect(try outcome(curved(own, alg: "RS256"), keys: sets, judge: Self.both) == "at once: algorithm")
    let late = Fixture.now + 600
    #expect(try outcome(Self.token(), keys: sets, judge: Self.both, now: late) == "allowed jane@example.com")
    #expect(try outcome(curved(own), keys: sets, judge: Self.both, now: late) == "expired")
    // An outage of one is not the other's, and makes an unknown kid undecided.
    #expect(try outcome(Self.token(), keys: [rsaKeys], judge: Self.both) == "allowed jane@example.com")
    #expect(try outcome(curved(own), keys: [rsaKeys], judge: Self.both) == "at once: keys_unavailable")
    let unknown = try Self.token(header: Self.header(kid: "other"))
    #expect(try outcome(unknown, keys: sets, judge: Self.both) == "at once: key_unknown")
  }

  @Test func `a kid that two issuers have is judged in full before its signature`() throws {
    let signer = Fixture.team.current
    let judge = Judge([
      Expectations(issuer: Array(Fixture.cloudflare.utf8)), Expectations(issuer: Array(Fixture.other.utf8)),
    ])
    let sets = try [Fixture.other, Fixture.cloudflare].map {
      try Fixture.keySet(of: [signer], issuer: $0, algorithms: .rs256)
    }
    for issuer in [Fixture.cloudflare, Fixture.other] {
      #expect(
        try outcome(Self.token(Self.claims(issuer: issuer)), keys: sets, judge: judge) == "allowed jane@example.com")
      let expired = Self.claims(["exp": "\(Fixture.now - 31)"], issuer: issuer)
      #expect(try outcome(Self.token(expired), keys: sets, judge: judge) == "at once: expired")
    }
    #expect(
      try outcome(Self.token(Self.claims(issuer: "https://x.example")), keys: sets, judge: judge) == "at once: issuer")
  }

  @Test func `a dense token without kid is by the one key that it can be by, and named keys go before nameless`() throws
  {
    let third = "https://third.example"
    let judge = Judge([
      Expectations(issuer: Array(Fixture.cloudflare.utf8)), Expectations(issuer: Array(Fixture.other.utf8)),
      Expectations(issuer: Array(third.utf8)),
    ])
    let signer = try #require(Fixture.signers[.rs256])
    let own = try Fixture.keySet(of: Fixture.team)
    let others = try Fixture.keySet(of: [signer], algorithms: .rs256)
    let nameless = try signer.jwk().replacing("\"kid\":\"\(signer.kid)\",", with: "")
    let thirds = KeySet(try Fixture.read("{\"keys\":[\(nameless)]}", issuer: third), generation: 1)
    #expect(thirds.keys[0].kid.isEmpty)
    let header = "{\"alg\":\"RS256\"}"
    func token(_ issuer: String, header: String = header) throws -> [UInt8] {
      try Self.token(header: header, Self.claims(issuer: issuer), by: signer)
    }
    let good = "allowed jane@example.com"
    let two = Judge(Array(judge.issuers.prefix(2)))
    #expect(try outcome(token(Fixture.other), keys: [own, others], judge: two) == good)
    #expect(try outcome(token(Fixture.cloudflare), keys: [own, others], judge: two) == "malformed")
    #expect(try outcome(token(Fixture.other), keys: [own], judge: two) == "at once: keys_unavailable")
    // Two issuers whose only key it could be: its claims tell whose it is.
    let sets = [own, others, thirds]
    #expect(try outcome(token(Fixture.other), keys: sets, judge: judge) == good)
    #expect(try outcome(token(third), keys: sets, judge: judge) == good)
    #expect(try outcome(token(Fixture.cloudflare), keys: sets, judge: judge) == "at once: malformed")
    // The nameless key of one issuer does not make the named keys of another ambiguous.
    #expect(try outcome(Self.token(), keys: sets, judge: judge) == good)
    #expect(try outcome(token(third, header: Self.header(kid: "any")), keys: sets, judge: judge) == good)
    // Where a token may not leave it out.
    #expect(try outcome(Self.token(header: header)) == "at once: malformed")
  }

  @Test func `a set of no issuer of ours gives no key to a dense token`() throws {
    let foreign = try Fixture.keySet(of: Fixture.team.keys, issuer: Fixture.other, algorithms: .rs256)
    #expect(try outcome(Self.token(), keys: [foreign]) == "at once: keys_unavailable")
  }
}
