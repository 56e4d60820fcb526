// What a serving process makes of its configuration, and how it is read again: a closure, so that whoever reads files and flags
// is not known here. Files are read on a queue of their own, never on a loop's thread.

import Authorization
import Policy
import Settings
import Token

extension Configuration {
  /// What the loops judge by; a line where the settings and the policies do not belong together.
  func rules() -> Result<Rules, ConfigurationMistakes> {
    if let policies {
      // Policies name issuers by their place; a place of another issuer would let in that issuer's people.
      guard let definitions, definitions.issuers.count == settings.issuers.count else {
        return .failure(
          ConfigurationMistakes(lines: [
            "issuers: '\(settings.issuers.count)' is refused; allowed: one issuer, or issuers: in the file"
          ]
          ))
      }
      for application in 0..<policies.applicationCount
      where !settings.issuers.indices.contains(policies.issuer(of: application)) {
        return .failure(
          ConfigurationMistakes(lines: ["applications: '\(policies.name(of: application))' is of no known issuer"]))
      }
    }
    return .success(
      Rules(
        issuers: settings.issuers.map { Expectations($0) }, policies: policies,
        unavailableStatus: settings.unavailableStatus, exposesReason: settings.exposeReason,
        decisionLog: settings.decisionLog.mode))
  }

  /// Reads the revocation file, as it is now; empty where there is none in the settings. Blocks on the disk.
  func revocationTable() -> Result<RevocationTable, ConfigurationMistakes> {
    revocations().map { RevocationTable($0) }
  }
}

extension DecisionLog {
  /// What it means to the loops.
  fileprivate var mode: DecisionLogMode {
    switch self {
    case .denied: .denied
    case .all: .all
    case .off: .off
    }
  }
}

/// Reads the configuration anew: flags, environment and files as they are then. Blocks on the disk.
typealias ConfigurationLoader = @Sendable () -> Result<Configuration, ConfigurationMistakes>

extension GatewaySettings {
  /// Settings that differ from `other` and that only a restart can change.
  func restartOnlyChanges(from other: GatewaySettings) -> [String] {
    let reloadable =
      ["leeway", "require", "unavailable_status", "expose_reason", "log_level"]
      + ["decision_log", "metadata", "trusted_proxies"]
    return SettingsTable.rows.filter { row in
      !reloadable.contains(row.name) && text(of: row) != other.text(of: row)
    }.map(\.name)
  }
}
