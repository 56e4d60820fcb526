// Counts of decisions over all loops and over reloads, for the metrics page. Thread: the control loop's.

import Authorization
import Policy
import Telemetry

/// Adds up what the loops count, and keeps what they counted for policies that a reload has replaced.
struct DecisionTotals {
  /// Those in use, and before them those of the last reload: a loop may still count there for a moment.
  private(set) var current: [DecisionCounters] = []
  private var last: [DecisionCounters] = []
  /// Of those before.
  private var kept: [DecisionFigure.Labels: UInt64] = [:]

  /// New counters, one a loop, for new policies; none without.
  mutating func use(_ policies: PolicySet?, loops: Int) {
    kept = Self.sum(last, over: kept)
    last = current
    current = policies.map { policies in (0..<loops).map { _ in DecisionCounters(policies) } } ?? []
    // Names that left with their policies leave the page, or it would grow with each reload.
    if let policies {
      var names: [String: Set<String>] = ["-": ["-"]]
      for application in 0..<policies.applicationCount {
        names[policies.name(of: application)] = Set(
          policies.policies(of: application).map { policies.policyName($0) } + ["-"])
      }
      kept = kept.filter { names[$0.key.application]?.contains($0.key.policy) == true }
    }
  }

  /// All series with a count; nil without policies.
  var figures: [DecisionFigure]? {
    guard !current.isEmpty else { return nil }
    return Self.sum(current, over: Self.sum(last, over: kept)).sorted { one, other in
      (one.key.application, one.key.policy, one.key.verdict, one.key.reason)
        < (other.key.application, other.key.policy, other.key.verdict, other.key.reason)
    }.map { DecisionFigure(labels: $0.key, count: $0.value) }
  }

  private static func sum(
    _ counters: [DecisionCounters], over base: [DecisionFigure.Labels: UInt64]
  ) -> [DecisionFigure.Labels: UInt64] {
    counters.reduce(into: base) { totals, loop in
      for figure in loop.figures() { totals[figure.labels, default: 0] += figure.count }
    }
  }
}
