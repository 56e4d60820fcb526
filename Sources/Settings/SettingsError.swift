// What is said about a user's mistake in a setting: one line, in ASCII, that can be printed as it is.
// No parsing here, and no printing.

import Wording

/// A mistake in the settings: what the user gave, under which name, and what is allowed.
///
/// `description` is one line of printable ASCII whatever the value holds, so that it can go to a terminal or a log.
public struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The setting as the user gave it: a flag (`--leeway`), a variable (`GATEWAY_LEEWAY`, `CF_TEAMS_DOMAIN`), or both
  /// names where neither was given.
  public let source: String
  /// The value as given, unescaped; nil where the setting is missing.
  public let value: String?
  /// What is allowed, or what to write instead.
  public let allowed: String

  public init(source: String, value: String?, allowed: String) {
    self.source = source
    self.value = value
    self.allowed = allowed
  }

  public var description: String {
    guard let value else { return "\(source) is not set: \(allowed)" }
    return "\(source): \(quotedForOneLine(value)) is refused; allowed: \(allowed)"
  }
}

/// Something that is no mistake yet looks like one, such as a misspelt variable. `description` is one line of ASCII.
public struct SettingsWarning: Equatable, Sendable, CustomStringConvertible {
  public let description: String
}
