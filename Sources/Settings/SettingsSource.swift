// Where settings come from: texts by setting name, each with the words that tell the user where it stood.

/// The text of a setting, as somebody gave it.
public struct GivenText: Equatable, Sendable {
  public let text: String
  /// Where it stands, for messages: `--leeway`, `GATEWAY_LEEWAY`, later a file with its line.
  public let origin: String

  public init(_ text: String, origin: String) {
    self.text = text
    self.origin = origin
  }
}

/// One source of settings: flags, the environment, a file.
public struct SettingsSource: Sendable {
  /// By setting name (`team_domain`), only those that were given. An empty text is a mistake.
  public let texts: [String: GivenText]

  public init(_ texts: [String: GivenText]) {
    self.texts = texts
  }

  /// Flags, by setting name.
  ///
  /// - Throws: where a name is that of no setting.
  public static func flags(_ given: [String: String]) throws(SettingsError) -> SettingsSource {
    var texts: [String: GivenText] = [:]
    for (name, text) in given.sorted(by: { $0.key < $1.key }) {
      guard let row = SettingsTable.rows.first(where: { $0.name == name }) else {
        throw SettingsError(source: name, value: text, allowed: "the name of a setting")
      }
      texts[name] = GivenText(text, origin: row.flag)
    }
    return SettingsSource(texts)
  }

  /// A process's environment. A variable that is empty, or white space alone, counts as unset.
  public static func environment(_ environment: [String: String]) -> SettingsSource {
    var texts: [String: GivenText] = [:]
    for row in SettingsTable.rows {
      for variable in row.variables where texts[row.name] == nil {
        guard let text = environment[variable], !withoutSpace(text).isEmpty else { continue }
        texts[row.name] = GivenText(text, origin: variable)
      }
    }
    return SettingsSource(texts)
  }
}

/// An issuer that a file names, with what it says of it.
public struct NamedIssuer: Sendable {
  public let name: String
  /// Where it stands, for messages, such as `access.yaml:3:3: staff`.
  public let origin: String
  /// By setting name: `team_domain`, `issuer`, `keys_url`, `algorithms`, `token_types`, `leeway`, `ca_file`; what is not here
  /// is as for all issuers.
  public let texts: [String: GivenText]

  public init(name: String, origin: String, texts: [String: GivenText]) {
    self.name = name
    self.origin = origin
    self.texts = texts
  }
}
