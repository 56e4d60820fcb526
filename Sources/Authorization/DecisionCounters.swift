// How often one loop decided what, by application, policy, verdict and reason: fixed places, worked out from the set of
// policies, so nothing that a client sends makes a new one. One writer, the loop; any thread reads.

import Policy
import Telemetry
import Token

/// The counts of one loop for one set of policies.
package final class DecisionCounters: Sendable {
  /// Counters side by side; an array cannot hold them.
  private final class Block: Sendable {
    static let size = 64
    let counts = InlineArray<64, SingleWriterCount> { _ in SingleWriterCount() }
  }

  private static let reasons = Reason.allCases.count
  /// An application's own: a denial by each reason, then allowed, preflight, and what was reported by each of three.
  private static let perApplication = reasons + 5
  /// A policy's: allowed, bypass, denied, reported.
  private static let perPolicy = 4

  private let policies: PolicySet
  private let blocks: [Block]

  package init(_ policies: PolicySet) {
    self.policies = policies
    let count =
      1 + policies.applicationCount * Self.perApplication + policies.policyCount * Self.perPolicy
    blocks = (0..<(count + Block.size - 1) / Block.size).map { _ in Block() }
  }

  // MARK: - Counting, on the loop's thread

  func count(_ denial: Denial) {
    guard let application = denial.application else { return add(0) }
    guard let policy = denial.policy else { return add(Self.place(of: application) + Int(denial.reason.rawValue)) }
    add(place(of: policy) + 2)
  }

  func count(_ decision: Policy.Decision, of application: Int) {
    countNoted(decision)
    let isReport = decision.verdict == .report
    if let policy = decision.policy {
      return add(place(of: policy) + (isReport ? 3 : decision.reason == .bypass ? 1 : 0))
    }
    let own = Self.place(of: application) + Self.reasons
    switch decision.reason {
    case .none, .bypass: add(own)
    case .preflight: add(own + 1)
    case .notAllowed, .unknownApplication: add(own + 2)
    case .revoked: add(own + 3)
    case .wrongHost: add(own + 4)
    }
  }

  /// Policies in report mode that would have denied.
  func countNoted(_ decision: Policy.Decision) {
    for index in 0..<decision.noted.keptCount { add(place(of: decision.noted[index]) + 3) }
  }

  private static func place(of application: Int) -> Int { 1 + application * perApplication }
  private func place(of policy: Int) -> Int {
    1 + policies.applicationCount * Self.perApplication + policy * Self.perPolicy
  }

  private func add(_ place: Int) { blocks[place / Block.size].counts[place % Block.size].add() }

  // MARK: - Reading, from any thread

  /// What was counted, by its labels; those without a count are left out.
  package func figures() -> [DecisionFigure] {
    var figures: [DecisionFigure] = []
    func take(_ place: Int, _ application: String, _ policy: String, _ verdict: String, _ reason: String) {
      let value = blocks[place / Block.size].counts[place % Block.size].value
      guard value > 0 else { return }
      figures.append(
        DecisionFigure(application: application, policy: policy, verdict: verdict, reason: reason, count: value))
    }
    take(0, "-", "-", "deny", "\(Reason.unknownApplication.name)")
    for application in 0..<policies.applicationCount {
      let name = policies.name(of: application)
      let start = Self.place(of: application)
      for (index, reason) in Reason.allCases.enumerated() { take(start + index, name, "-", "deny", "\(reason.name)") }
      let own = start + Self.reasons
      take(own, name, "-", "allow", "-")
      take(own + 1, name, "-", "allow", "preflight")
      take(own + 2, name, "-", "report", "not_allowed")
      take(own + 3, name, "-", "report", "revoked")
      take(own + 4, name, "-", "report", "wrong_host")
      for policy in policies.policies(of: application) {
        let start = place(of: policy)
        let title = policies.policyName(policy)
        take(start, name, title, "allow", "-")
        take(start + 1, name, title, "allow", "bypass")
        take(start + 2, name, title, "deny", "not_allowed")
        take(start + 3, name, title, "report", "not_allowed")
      }
    }
    return figures
  }
}
