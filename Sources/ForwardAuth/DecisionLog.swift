// The decision log (`decision_log`): a JSON line a decision on an application, through the log's queue, which drops and
// counts what does not fit. Never a token; never a query.

import Authorization
import Policy
import Telemetry
import Token

/// One a loop. Thread: the loop's.
final class DecisionLog {
  private let log: Log

  init(_ log: Log) { self.log = log }

  /// Whether there is anything to write about an allowed request, here or in the log of denials.
  func wants(_ allowance: Allowance, _ rules: Rules) -> Bool {
    allowance.application != nil && (allowance.isReport || rules.decisionLog == .all)
  }

  /// Whether denials are written.
  func wantsDenials(_ rules: Rules) -> Bool { rules.policies != nil && rules.decisionLog != .off }

  func write(
    _ denial: Denial, _ details: RequestDetails, _ reference: RequestReference, _ authorizer: borrowing Authorizer
  ) {
    let rules = authorizer.snapshot.rules
    guard wantsDenials(rules), let policies = rules.policies else { return }
    let names = Names(policies, denial.application, denial.policy)
    let who = Person(denial.identity, authorizer)
    write(names, "deny", denial.reason.name, who, details, reference)
  }

  func write(
    _ allowance: Allowance, _ details: RequestDetails, _ reference: RequestReference,
    _ authorizer: borrowing Authorizer
  ) {
    let rules = authorizer.snapshot.rules
    guard let policies = rules.policies, let decision = allowance.decision, rules.decisionLog != .off else { return }
    let names = Names(policies, allowance.application, decision.policy)
    let who = Person(allowance.identity, authorizer)
    write(names, decision.verdict.name, decision.reason.name, who, details, reference)
  }

  private struct Names {
    let application: String
    let policy: String

    init(_ policies: PolicySet, _ application: Int?, _ policy: Int?) {
      self.application = application.map { policies.name(of: $0) } ?? "-"
      self.policy = policy.map { policies.policyName($0) } ?? "-"
    }
  }

  /// Who was verified, as the identity headers say it.
  private struct Person {
    private(set) var user = ""
    private(set) var kind = ""

    init(_ identity: IdentitySource, _ authorizer: borrowing Authorizer) {
      var lines: [UInt8] = []
      authorizer.withIdentityLines(of: identity) { span in for place in span.indices { lines.append(span[place]) } }
      for line in lines.split(separator: 10) {
        let text = String(decoding: line.dropLast(), as: UTF8.self)
        if text.hasPrefix("X-Auth-User: ") { user = String(text.dropFirst(13)) }
        if text.hasPrefix("X-Auth-Kind: ") { kind = String(text.dropFirst(13)) }
      }
    }
  }

  private func write(
    _ names: Names, _ verdict: StaticString, _ reason: StaticString, _ who: Person, _ details: RequestDetails,
    _ reference: RequestReference
  ) {
    let original = details.original
    let client: String
    switch original?.client {
    case .address(let address): client = address.description
    case .throughCloudflare, .missing, nil: client = ""
    }
    log.decision([
      ("application", .string(names.application)), ("policy", .string(names.policy)),
      ("verdict", .string("\(verdict)")), ("reason", .string("\(reason)")), ("user", .string(who.user)),
      ("kind", .string(who.kind)), ("method", .string(original?.method.text ?? "")),
      ("host", .string(original?.host.text ?? "")), ("path", .string(original?.target.pathText ?? "")),
      ("client", .string(client)), ("request_id", .string(reference.text)),
    ])
  }
}

extension ShortCopy {
  /// The text without a query, and without the mark that one was left out.
  fileprivate var pathText: String? {
    guard let text else { return nil }
    return text.hasSuffix("?…") ? String(text.dropLast(2)) : text
  }
}
