// What a serving process goes by, and how it is read again: a closure, so that whoever reads files and flags is not known
// here. Files are read on a queue of their own, never on a loop's thread.

import Authorization
import Policy
import Settings
import SettingsFile
import Token

/// Settings and policies that were checked together. Immutable.
struct ServedConfiguration: Sendable {
  let settings: GatewaySettings
  /// The settings file; nil where there is none.
  var file: String?
  /// What the file says about applications; nil where it names none.
  var definitions: PolicyDefinitions?
  /// The same, compiled. Nil exactly where ``definitions`` is.
  var policies: PolicySet?
  /// An absolute path; nil: nobody is revoked.
  var revocationFile: String?
  var decisionLog = DecisionLogMode.denied

  init(settings: GatewaySettings) { self.settings = settings }

  /// What the loops judge by; a line where the settings and the policies do not belong together.
  func rules() -> Result<Rules, LoadMistakes> {
    if let policies {
      // Policies name issuers by their place; a place of another issuer would let in that issuer's people.
      guard let definitions, definitions.issuers.count == settings.issuers.count else {
        return .failure(
          LoadMistakes(["issuers: '\(settings.issuers.count)' is refused; allowed: one issuer, or issuers: in the file"]
          ))
      }
      for application in 0..<policies.applicationCount
      where !settings.issuers.indices.contains(policies.issuer(of: application)) {
        return .failure(LoadMistakes(["applications: '\(policies.name(of: application))' is of no known issuer"]))
      }
    }
    return .success(
      Rules(
        issuers: settings.issuers.map { Expectations($0) }, policies: policies,
        unavailableStatus: settings.unavailableStatus, exposesReason: settings.exposeReason, decisionLog: decisionLog))
  }

  /// Reads the revocation file, as it is now; empty where there is none in the settings.
  func revocations() -> Result<RevocationTable, LoadMistakes> {
    guard let revocationFile else { return .success(.empty) }
    switch SafeFile.read(revocationFile, limit: DocumentLimits.revocation.bytes) {
    case .missing:
      let mistake = FileMistake(at: .start, key: nil, value: "no such file", allowed: "a file that is there")
      return .failure(LoadMistakes([mistake.line(file: revocationFile)]))
    case .refused(let mistake): return .failure(LoadMistakes([mistake.line(file: revocationFile)]))
    case .bytes(let bytes):
      let reading = RevocationFileReader(definitions ?? PolicyDefinitions()).read(bytes)
      guard let list = reading.value else { return .failure(LoadMistakes(reading.lines(file: revocationFile))) }
      return .success(RevocationTable(list))
    }
  }
}

/// Why something cannot be used: a line each.
struct LoadMistakes: Error, Sendable {
  let lines: [String]

  init(_ lines: [String]) { self.lines = lines }
}

/// Reads the configuration anew: flags, environment and files as they are then. Blocks on the disk.
typealias ConfigurationLoader = @Sendable () -> Result<ServedConfiguration, LoadMistakes>

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
