// All that a run of the program goes by: settings, and what the settings file says about applications. A plain value, made
// whole by ConfigurationSource; nothing is read here.

import Policy
import Settings

/// Settings and policies that were checked together. Immutable, so any thread may hold it.
struct Configuration: Sendable {
  let settings: GatewaySettings
  /// What the user should be told about the settings.
  var warnings: [SettingsWarning] = []
  /// The settings file; nil where there is none.
  var file: String?
  /// What the file says about applications, with `metadata` and `trusted_proxies` of whatever source; nil where it names
  /// none: then everything is as without policies.
  var definitions: PolicyDefinitions?
  /// The same, compiled. Nil exactly where ``definitions`` is.
  var policies: PolicySet?
  /// The file of revocations, an absolute path; nil: nobody is revoked.
  var revocationFile: String?
  /// The policy tests of `tests:`, which have passed: paths as they are opened.
  var testFiles: [String] = []

  /// Settings alone, without a file.
  init(settings: GatewaySettings) { self.settings = settings }
}

/// Why there is no configuration: each mistake as one line of printable ASCII.
struct ConfigurationMistakes: Error, Sendable {
  let lines: [String]
}
