// What reading a file gives: a value, or every mistake.

import Policy

/// A file's value, or its mistakes in the order of the file; never both.
public struct FileReading<Value: Sendable>: Sendable {
  /// Nil where there is a mistake.
  public let value: Value?
  public let mistakes: [FileMistake]
  /// What could be read beside the mistakes; only good for finding more of them.
  package let remainder: Value?

  init(_ value: Value?, _ mistakes: [FileMistake]) {
    self.value = mistakes.isEmpty ? value : nil
    remainder = value
    self.mistakes = mistakes.enumerated().sorted {
      ($0.element.position.line, $0.element.position.column, $0.offset)
        < ($1.element.position.line, $1.element.position.column, $1.offset)
    }.map(\.element)
  }

  /// The mistakes as one line each.
  public func lines(file: String) -> [String] { mistakes.map { $0.line(file: file) } }
}

/// The value of a setting in a file.
public struct FileSetting: Sendable, Equatable {
  /// The texts with their places: one, or the elements of a list. Surrounding white space is gone.
  public let values: [Positioned<String>]
  /// Whether it was written as a list.
  public let isList: Bool
  /// Where the key stands.
  public let keyPosition: SourcePosition

  /// The value as a flag would give it: elements joined by commas.
  public var text: String { values.map(\.value).joined(separator: ",") }
  /// Where the value stands.
  public var position: SourcePosition { values.first?.position ?? keyPosition }
}

/// One issuer of `issuers:`.
public struct IssuerSection: Sendable, Equatable {
  public let name: String
  public let position: SourcePosition
  /// By name: `team_domain`, `issuer`, `keys_url`, `algorithms`, `token_types`, `leeway`, `ca_file`.
  public let settings: [String: FileSetting]
}

/// What a settings file says.
public struct FileContents: Sendable {
  /// The program's settings by name, `metadata`, `trusted_proxies` and `decision_log` among them.
  public let settings: [String: FileSetting]
  /// In the file's order; empty where there is no `issuers:`.
  public let issuers: [IssuerSection]
  /// Nil where there is no `applications:`: then everything is as without policies.
  public let policies: PolicyDefinitions?
  /// An absolute path.
  public let revocationFile: Positioned<String>?
  /// Policy tests that must pass, relative to the file's folder.
  public let tests: [Positioned<String>]
}
