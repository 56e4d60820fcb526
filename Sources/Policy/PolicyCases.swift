// Policy tests: cases in, results out, and which policies and selectors they covered. No network, no keys, no files.

/// A request of a policy test.
public struct CaseRequest: Sendable, Equatable {
  public var host: String?
  public var method: String?
  /// As a proxy would send it, escapes and query included.
  public var path: String?
  public var clientAddress: String?
  /// Whether the fields of a preflight are there.
  public var isPreflight: Bool

  public init(
    host: String? = nil, method: String? = nil, path: String? = nil, clientAddress: String? = nil,
    isPreflight: Bool = false
  ) {
    self.host = host
    self.method = method
    self.path = path
    self.clientAddress = clientAddress
    self.isPreflight = isPreflight
  }
}

extension CaseRequest {
  /// The request's fields as the application's family would bring them, and the bytes that they are ranges of. What is nil
  /// is GET, the application's first host, `/`, no client address.
  package func facts(at application: ApplicationDefinition) -> (facts: RequestFacts, source: [UInt8]) {
    var source: [UInt8] = []
    func fact(_ text: String?) -> RequestFact {
      guard let text else { return .missing }
      let start = source.count
      source += text.utf8
      return RequestFact(start..<source.count)
    }
    var facts = RequestFacts()
    facts.method = fact(method ?? "GET")
    facts.host = fact(host ?? application.hosts.first.map { Self.oneHost(of: $0.value) })
    facts.target = fact(path ?? "/")
    facts.forwardedFor = fact(clientAddress)
    facts.hasPreflightFields = isPreflight
    return (facts, source)
  }

  /// A host that a pattern fits: `any.docs.acme.com` for `*.docs.acme.com`.
  private static func oneHost(of pattern: String) -> String {
    pattern.hasPrefix("*.") ? "any" + pattern.dropFirst() : pattern
  }
}

/// What a case expects; what is nil may be anything.
public struct CaseExpectation: Sendable, Equatable {
  public var verdict: Verdict
  /// As metrics write it.
  public var reason: String?
  public var policy: String?
  /// Names and values of headers, as they leave.
  public var headers: [Pair]

  public struct Pair: Sendable, Equatable {
    public let name: String
    public let value: String

    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  public init(_ verdict: Verdict, reason: String? = nil, policy: String? = nil, headers: [Pair] = []) {
    self.verdict = verdict
    self.reason = reason
    self.policy = policy
    self.headers = headers
  }
}

/// One case of a policy test.
public struct PolicyCase: Sendable {
  public let title: String
  public let position: SourcePosition
  /// The application's name.
  public let application: String
  /// Nil: no token.
  public let identity: CaseIdentity?
  public let request: CaseRequest
  public let expectation: CaseExpectation

  public init(
    title: String, application: String, identity: CaseIdentity?, request: CaseRequest = CaseRequest(),
    expectation: CaseExpectation, at position: SourcePosition = .start
  ) {
    self.title = title
    self.position = position
    self.application = application
    self.identity = identity
    self.request = request
    self.expectation = expectation
  }
}

/// What a case gave.
public struct CaseOutcome: Sendable, Equatable {
  public let verdict: Verdict
  public let reason: String
  /// `-` where no policy decided.
  public let policy: String
  /// The headers of a 200.
  public let headers: [CaseExpectation.Pair]
}

/// A case with what it gave.
public struct CaseResult: Sendable {
  public let title: String
  public let outcome: CaseOutcome
  /// What differs from what was expected, a line each; empty for a case that passed.
  public let failures: [String]

  public var isPassed: Bool { failures.isEmpty }
}

/// Runs cases against a compiled file.
public struct CaseRunner {
  private let set: PolicySet
  private let definitions: PolicyDefinitions
  private let places: [String: Int]
  private var writer = IdentityRecordWriter()
  private var coveredPolicies: Set<Int> = []
  private var coveredSelectors: Set<String> = []

  public init(_ set: PolicySet, _ definitions: PolicyDefinitions) {
    self.set = set
    self.definitions = definitions
    places = Dictionary(
      definitions.applications.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { one, _ in one })
  }

  /// Runs one case; `now` is in seconds since 1970.
  public mutating func run(_ test: PolicyCase, covering: Bool = false) -> CaseResult {
    guard let place = places[test.application] else {
      let outcome = CaseOutcome(
        verdict: .deny, reason: "\(DecisionReason.unknownApplication.name)", policy: "-", headers: [])
      return CaseResult(title: test.title, outcome: outcome, failures: ["no application \(test.application)"])
    }
    let outcome = outcome(test, place, covering)
    return CaseResult(title: test.title, outcome: outcome, failures: Self.failures(test.expectation, outcome))
  }

  private mutating func outcome(_ test: PolicyCase, _ place: Int, _ covering: Bool) -> CaseOutcome {
    let (facts, source) = test.request.facts(at: definitions.applications[place])
    let request = OriginalRequest(facts, in: source.span, trusted: [])
    if let identity = test.identity {
      identity.write(to: &writer, plan: set.claimPlan, issuer: set.issuer(of: place))
    }
    let record: [UInt8] = test.identity == nil ? [] : writer.bytes
    if covering { cover(place, request, source, record) }
    if let decision = set.decisionWithoutToken(application: place, request: request, in: source.span) {
      return outcome(decision, place, nil)
    }
    guard let identity = test.identity else {
      return CaseOutcome(verdict: .deny, reason: "missing", policy: "-", headers: [])
    }
    let decision = set.decision(
      application: place, request: request, in: source.span, identity: record.span, revocations: .empty, now: 0)
    return outcome(decision, place, identity)
  }

  private func outcome(_ decision: Decision, _ place: Int, _ identity: CaseIdentity?) -> CaseOutcome {
    let policy = decision.policy.map { set.policyName($0) } ?? "-"
    guard decision.verdict != .deny else {
      return CaseOutcome(verdict: .deny, reason: "\(decision.reason.name)", policy: policy, headers: [])
    }
    var bytes: [UInt8] = []
    let record: [UInt8] = identity == nil ? [] : writer.bytes
    guard set.appendHeaders(of: place, identity: record.span, to: &bytes) else {
      return CaseOutcome(verdict: .deny, reason: "identity", policy: "-", headers: [])
    }
    var headers = Self.identityHeaders(identity)
    for line in bytes.split(separator: 0x0A) {
      let text = String(decoding: line.dropLast(), as: UTF8.self)
      let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      headers.append(CaseExpectation.Pair(String(parts[0]), String(parts[1].dropFirst())))
    }
    return CaseOutcome(verdict: decision.verdict, reason: "\(decision.reason.name)", policy: policy, headers: headers)
  }

  /// Those of the contract that do not hang on the time.
  private static func identityHeaders(_ identity: CaseIdentity?) -> [CaseExpectation.Pair] {
    func escaped(_ text: String?) -> String {
      var bytes: [UInt8] = []
      for byte in (text ?? "").utf8 { HeaderEscape.append(byte, to: &bytes) }
      return String(decoding: bytes, as: UTF8.self)
    }
    return [
      CaseExpectation.Pair("X-Auth-User", escaped(identity?.email ?? identity?.commonName)),
      CaseExpectation.Pair("X-Auth-Email", escaped(identity?.email)),
      CaseExpectation.Pair("X-Auth-Kind", identity.map { $0.isPerson ? "user" : "service" } ?? ""),
      CaseExpectation.Pair("X-Auth-Subject", escaped(identity?.subject)),
    ]
  }

  private static func failures(_ expected: CaseExpectation, _ got: CaseOutcome) -> [String] {
    var failures: [String] = []
    func compare(_ what: String, _ wanted: String, _ found: String) {
      if wanted != found { failures.append("\(what): expected '\(wanted)', got '\(found)'") }
    }
    compare("verdict", "\(expected.verdict.name)", "\(got.verdict.name)")
    if let reason = expected.reason { compare("reason", reason, got.reason) }
    if let policy = expected.policy { compare("policy", policy, got.policy) }
    for header in expected.headers {
      let found = got.headers.first { $0.name.lowercased() == header.name.lowercased() }
      compare("header \(header.name)", header.value, found?.value ?? "(no such header)")
    }
    if !failures.isEmpty {
      failures.append("decided by: \(got.verdict.name), reason \(got.reason), policy \(got.policy)")
    }
    return failures
  }

  // MARK: - Coverage

  /// A selector of `include` is covered when it holds in the policy that decides; one of `require` or `exclude` when it
  /// turns a case away that `match` and `include` let through.
  private mutating func cover(_ place: Int, _ request: OriginalRequest, _ source: [UInt8], _ record: [UInt8]) {
    let (_, policies) = set.explanation(
      application: place, request: request, in: source.span, identity: record.span, revocations: .empty, now: 0)
    for policy in policies {
      if policy.decides || policy.isNoted { coveredPolicies.insert(policy.policy) }
      let isDeny = policy.action == .deny
      let counts: (Ternary) -> Bool = { isDeny ? $0 != .no : $0 == .yes }
      let include = policy.parts.filter { $0.part == "include" }
      let isIn = include.isEmpty || include.contains { counts($0.result) }
      guard counts(policy.match), isIn else { continue }
      for part in policy.parts {
        let isCovered: Bool =
          switch part.part {
          case "include": (policy.decides || policy.isNoted) && counts(part.result)
          case "require": !counts(part.result)
          case "exclude": isDeny ? part.result == .yes : part.result != .no
          default: false
          }
        if isCovered { coveredSelectors.insert(Self.key(policy.policy, part.part, part.title)) }
      }
    }
  }

  private static func key(_ policy: Int, _ part: String, _ title: String) -> String { "\(policy) \(part) \(title)" }

  /// What no case that was run with `covering` decided, a line each: policies, and selectors of the others.
  public var uncovered: [String] {
    var lines: [String] = []
    var index = 0
    for application in definitions.applications {
      for policy in application.policies ?? [] {
        let place = "\(application.name): policy '\(policy.name)'"
        if !coveredPolicies.contains(index) {
          lines.append("\(place) decided no case")
        } else {
          let parts = [
            ("include", policy.who.include), ("require", policy.who.require), ("exclude", policy.who.exclude),
          ]
          for (part, selectors) in parts {
            for selector in selectors
            where !coveredSelectors.contains(Self.key(index, part, selector.title)) {
              lines.append("\(place): \(part) \(selector.title) decided no case")
            }
          }
        }
        index += 1
      }
    }
    return lines
  }
}

/// Results as the Test Anything Protocol, version 13.
public enum TAPReport {
  public static func text(_ results: [CaseResult]) -> String {
    var text = "TAP version 13\n1..\(results.count)\n"
    for (index, result) in results.enumerated() {
      // `#` would begin a directive.
      let title = oneLine(result.title).split(separator: "#", omittingEmptySubsequences: false).joined(separator: "\\#")
      text += "\(result.isPassed ? "ok" : "not ok") \(index + 1) - \(title)\n"
      for failure in result.failures { text += "# \(oneLine(failure))\n" }
    }
    return text
  }

  /// Control bytes and what is not ASCII escaped, so that a name cannot end a line.
  private static func oneLine(_ text: String) -> String {
    var line = ""
    for scalar in text.unicodeScalars {
      if (" "..."~").contains(scalar) {
        line.unicodeScalars.append(scalar)
      } else {
        line += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
    return line
  }
}
