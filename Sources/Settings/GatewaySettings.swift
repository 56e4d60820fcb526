// All settings of the gateway as typed, checked values. No text is read here (the forms of SettingForm.swift do that), and
// nothing outside this module can change a value.

/// Who may come in: the setting `require`.
public enum RequiredIdentity: String, Equatable, Sendable, CaseIterable {
  /// A user, that is a token with `email`.
  case identity
  /// A service token, that is one with `common_name`.
  case service
  case any
}

/// The setting `listen_shared`: what a process does that finds another one at its port.
public enum SharedListening: String, Equatable, Sendable, CaseIterable {
  /// Says so, and shares the port.
  case warn
  /// Says so, and ends.
  case refuse
}

/// The setting `log_level`: lines below it are not written.
public enum LogThreshold: String, Equatable, Sendable, CaseIterable {
  case debug, info, warning, error
}

/// The setting `log_format`.
public enum LogStyle: String, Equatable, Sendable, CaseIterable {
  case text, json
}

/// The setting `decision_log`: which decisions get a line of their own in the log.
public enum DecisionLog: String, Equatable, Sendable, CaseIterable {
  case denied, all, off
}

/// The setting `socket_owner`: names or numbers, which nobody has looked up yet.
public struct SocketOwner: Equatable, Sendable, CustomStringConvertible {
  public let user: String?
  public let group: String?

  /// Reads `user`, `user:group` or `:group`; nil if it is none.
  init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    func isName(_ part: String) -> Bool {
      (1...64).contains(part.utf8.count) && part.utf8.first != UInt8(ascii: "-")
        && part.utf8.allSatisfy { isLetter($0) || isDigit($0) || "._-".utf8.contains($0) }
    }
    guard let user = parts.first, isName(user) || user.isEmpty && parts.count == 2 else { return nil }
    self.user = user.isEmpty ? nil : user
    group = parts.count == 2 ? parts[1] : nil
    guard group.map(isName) ?? true else { return nil }
  }

  public var description: String { (user ?? "") + (group.map { ":" + $0 } ?? "") }
}

/// The machine that the defaults depend on.
public struct Surroundings: Equatable, Sendable {
  /// CPUs that this process may use.
  public var cores: Int
  /// Whether stderr is a terminal.
  public var stderrIsTerminal: Bool

  public init(cores: Int, stderrIsTerminal: Bool) {
    self.cores = cores
    self.stderrIsTerminal = stderrIsTerminal
  }

  /// How many threads of a kind make sense: one a core, within what the settings allow.
  var coresUsed: Int { min(max(cores, 1), 64) }
}

/// One immutable set of settings, each within its range (SPEC.md, "The process"). Made by `SettingsTable.resolve`.
///
/// A property of `SettingsTable` is a property here, with the setting's value: `settings.maxConnections`. Durations are
/// whole seconds, sizes are bytes. Reading one takes a look-up: take what a request needs once, before it comes.
@dynamicMemberLookup
public struct GatewaySettings: Equatable, Sendable {
  /// Those whose tokens are accepted: 1 to 16, no two with the same `issuer`.
  public internal(set) var issuers: [IssuerSettings]
  var values: SettingValues

  public subscript<Value>(dynamicMember setting: KeyPath<SettingsTable, Setting<Value>>) -> Value {
    values[SettingsTable.all[keyPath: setting]]
  }

  /// The value of a setting, written so that it would be read as the same value. Empty only for a team that was not
  /// given.
  public func text(of setting: any SettingDefinition) -> String { values.text(of: setting) }

  public static func == (one: GatewaySettings, other: GatewaySettings) -> Bool {
    one.issuers == other.issuers && SettingsTable.rows.allSatisfy { one.text(of: $0) == other.text(of: $0) }
  }
}
