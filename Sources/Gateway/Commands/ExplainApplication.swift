// Explains a request to an application: the token as `Explain` does, then each policy and selector by the same functions as
// on the path of a request. Prints; decides nothing.

import POSIX
import Policy
import Settings
import Telemetry
import Token
import Verification
import Wording

struct ExplainApplication {
  private let name: String
  private let request: CaseRequest
  private let configuration: Configuration
  private let definitions: PolicyDefinitions
  private let set: PolicySet
  private let revocations: RevocationTable
  private let now: Double

  /// Nil where the configuration names no applications.
  ///
  /// - Parameters:
  ///   - name: the application's name, or one of its audiences.
  ///   - now: seconds since 1970.
  init?(
    _ name: String, _ request: CaseRequest, _ configuration: Configuration, _ revocations: RevocationTable, now: Double
  ) {
    guard let definitions = configuration.definitions, let set = configuration.policies else { return nil }
    self.name = name
    self.request = request
    self.configuration = configuration
    self.definitions = definitions
    self.set = set
    self.revocations = revocations
    self.now = now
  }

  /// - Parameter token: nil means standard input, to its end; an empty one is a request without a token.
  /// - Returns: the exit code: 0 if the request would be let in, 1 if not.
  func run(token: String?) -> Int32 {
    let segment = Array(name.utf8)
    guard let place = set.application(named: segment.span) else {
      let known = definitions.applications.map(\.name)
      let near = nearestName(to: name, among: known).map { "; is \($0) meant?" } ?? ""
      print("verdict: deny, reason unknown_application: the file has \(known.joined(separator: ", "))\(near)")
      return 1
    }
    let application = definitions.applications[place]
    let (facts, source) = request.facts(at: application)
    let original = OriginalRequest(facts, in: source.span, trusted: [])
    print("application \(application.name), issuer \(definitions.issuers[application.issuer])")
    var record: [UInt8] = []
    if set.decisionWithoutToken(application: place, request: original, in: source.span) != nil {
      print("token: not looked at, for this request needs none")
    } else {
      guard let bytes = Explain.bytes(of: token) else { return 1 }
      guard let identity = judge(bytes, place) else { return 1 }
      record = identity
    }
    let (explanation, policies) = set.explanation(
      application: place, request: original, in: source.span, identity: record.span, revocations: revocations, now: now)
    if let explanation { print("request: \(explanation.request.joined(separator: ", "))") }
    if !set.hasPolicies(place) { print("policies: none; the setting require says who is let in") }
    for policy in policies { show(policy, hasToken: !record.isEmpty) }
    guard let explanation else {
      print("verdict: deny, reason not_allowed: the token cannot be read for this file")
      return 1
    }
    return verdict(explanation.decision, place, record)
  }

  /// Judges the token; its record, or nil, with the verdict printed, where it is denied.
  private func judge(_ token: [UInt8], _ place: Int) -> [UInt8]? {
    guard !token.isEmpty else {
      print("token: none")
      print("verdict: deny, reason \(Reason.missing.name): \(Reason.missing.explanation)")
      return nil
    }
    let issuer = configuration.settings.issuers[set.issuer(of: place)]
    var explain = Explain(
      token: token, audiences: set.audiences(of: place).map { Array($0.utf8) }, now: now, issuers: [issuer],
      require: set.hasPolicies(place) ? .any : nil)
    var reader = TokenReader()
    explain.judgeToken(&reader)
    if let denied = explain.denied {
      print("verdict: deny, reason \(denied.name): \(denied.explanation); no policy is asked")
      return nil
    }
    var claims = ClaimRecord()
    guard claims.write(reader, plan: set.claimPlan, issuer: set.issuer(of: place), tokenDigest: digest(token).span)
    else {
      print("verdict: deny, reason \(Reason.identity.name): \(Reason.identity.explanation)")
      return nil
    }
    return claims.writer.bytes
  }

  private func digest(_ token: [UInt8]) -> [UInt8] {
    let words = SHA256Digest(of: token.span).words
    var bytes: [UInt8] = []
    for word in [words.0, words.1, words.2, words.3] {
      for shift in stride(from: UInt64(56), through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
    }
    return bytes
  }

  private func show(_ policy: ExplainedPolicy, hasToken: Bool) {
    let mark = policy.decides ? "  <- decides" : policy.isNoted ? "  <- noted, mode report" : ""
    let mode = policy.isReport ? ", mode report" : ""
    print("policy \(quotedForOneLine(policy.name)): \(policy.action.name)\(mode)\(mark)")
    for part in policy.parts {
      let padding = String(repeating: " ", count: max(1, 24 - part.part.utf8.count - part.title.utf8.count))
      print("  \(part.part) \(part.title)\(padding)\(part.result): \(Printable.text(part.why.utf8))")
    }
    if policy.parts.isEmpty { print(hasToken ? "  holds for everyone" : "  asks for nothing but the token") }
  }

  private func verdict(_ decision: Decision, _ place: Int, _ record: [UInt8]) -> Int32 {
    var headers: [UInt8] = []
    guard decision.verdict == .deny || set.appendHeaders(of: place, identity: record.span, to: &headers) else {
      print("verdict: deny, reason \(Reason.identity.name): the headers are longer than is allowed")
      return 1
    }
    let line = decision.policy.map { policy in
      let own = definitions.applications[place].policies ?? []
      let position = own[policy - set.policies(of: place).lowerBound].position
      return "; policy \(quotedForOneLine(set.policyName(policy))), "
        + "\(escapedForOneLine(configuration.file ?? "", limit: 4096, escapingQuotes: false)):\(position)"
    }
    let none = set.hasPolicies(place) && decision.reason == .notAllowed ? "; no policy holds" : ""
    print("verdict: \(decision.verdict.name), reason \(decision.reason.name)\(line ?? none)")
    return decision.verdict == .deny ? 1 : 0
  }
}
