// What the metrics page says of the settings file, the revocation file and decisions, as plain values.

/// Of a gateway with a settings file.
package struct ReloadFigures: Sendable {
  /// Whether the last reading was good; nil: there is no settings file.
  package var configurationIsGood: Bool?
  /// Seconds since 1970 of the last good one.
  package var configurationTime = 0
  /// Whether the last reading was good; nil: there is no revocation file.
  package var revocationsAreGood: Bool?
  package var revocationEntries = 0
  /// Over all loops; nil without applications.
  package var decisions: [DecisionFigure]?

  package init() {}
}
