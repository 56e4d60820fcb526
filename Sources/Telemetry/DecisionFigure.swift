// Counts of decisions for the metrics page, as plain values.

/// How often one thing was decided.
package struct DecisionFigure: Sendable, Equatable {
  /// The labels of a series.
  package struct Labels: Hashable, Sendable {
    package let application, policy, verdict, reason: String
  }

  package let labels: Labels
  package var count: UInt64

  package init(labels: Labels, count: UInt64) {
    self.labels = labels
    self.count = count
  }

  package init(application: String, policy: String, verdict: String, reason: String, count: UInt64) {
    labels = Labels(application: application, policy: policy, verdict: verdict, reason: reason)
    self.count = count
  }
}
