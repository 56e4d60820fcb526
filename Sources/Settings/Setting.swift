// What one setting is: its names, its default, what is allowed, and how text becomes its value and back.
// The settings themselves stand in SettingsTable.swift; how sources are put together in SettingsResolution.swift.

/// All that may be asked of a setting without knowing the type of its value.
public protocol SettingDefinition: Sendable {
  /// `team_domain`: the name in a file and in `check`; variable and flag follow from it.
  var name: String { get }
  /// A word for the value in usage lines.
  var placeholder: String { get }
  /// What is allowed, without a full stop.
  var allowed: String { get }
  /// What it does, one sentence.
  var help: String { get }
  /// Whether a text may hold several values, separated by commas: a file may write them as a list.
  var isList: Bool { get }
  /// Variables that mean the same; the setting's own variable wins.
  var aliases: [String] { get }
  /// The default as a user would write it; nil: it is worked out.
  var defaultAsText: String? { get }
  /// The default in words: the text itself, or how it is worked out.
  var defaultInWords: String { get }

  /// The value of `text`, which has no white space around it; nil takes the default.
  func anyValue(of text: String?, _ surroundings: Surroundings) throws(SettingRefusal) -> any Sendable
  /// A value of this setting, written so that it would be read as the same value.
  func anyText(of value: any Sendable) -> String
}

extension SettingDefinition {
  /// `GATEWAY_TEAM_DOMAIN`
  public var variable: String { "GATEWAY_" + name.uppercased() }

  /// `--team-domain`
  public var flag: String { "--" + flagName }

  /// `team-domain`
  public var flagName: String { name.split(separator: "_").joined(separator: "-") }

  /// The setting's own variable, then its aliases.
  public var variables: [String] { [variable] + aliases }

  /// All that `--help` says about the setting.
  public var fullHelp: String {
    "\(help) Allowed: \(allowed). (variable: \(variables.joined(separator: " or ")); default: \(defaultInWords))"
  }
}

/// A setting of which the value is a `Value`.
public struct Setting<Value: Sendable>: SettingDefinition {
  /// Where the value comes from when nobody gives one.
  enum Default: Sendable {
    /// This text, read like a user's.
    case text(String)
    /// Worked out from the machine, or later from other settings; the words say how.
    case derived(String, @Sendable (Surroundings) -> Value)
  }

  public let name: String
  public let placeholder: String
  public let allowed: String
  public let help: String
  public let aliases: [String]
  let standard: Default
  let form: SettingForm<Value>

  /// - Parameter allowed: in place of what the form says of itself.
  init(
    _ name: String, _ placeholder: String, _ form: SettingForm<Value>, standard: Default, allowed: String? = nil,
    help: String, aliases: [String] = []
  ) {
    self.name = name
    self.placeholder = placeholder
    self.form = form
    self.standard = standard
    self.allowed = allowed ?? form.allowed
    self.help = help
    self.aliases = aliases
  }

  public var isList: Bool { form.isList }

  public var defaultAsText: String? {
    if case .text(let text) = standard { text } else { nil }
  }

  public var defaultInWords: String {
    switch standard {
    case .text(let text): text
    case .derived(let words, _): words
    }
  }

  /// The value of `text`; nil takes the default.
  func value(of text: String?, _ surroundings: Surroundings) throws(SettingRefusal) -> Value {
    if let text { return try form.read(text) }
    switch standard {
    case .text(let text): return try form.read(text)
    case .derived(_, let value): return value(surroundings)
    }
  }

  public func anyValue(of text: String?, _ surroundings: Surroundings) throws(SettingRefusal) -> any Sendable {
    try value(of: text, surroundings)
  }

  public func anyText(of value: any Sendable) -> String {
    // Only this setting's own `anyValue` makes values that are kept under its name (`SettingValues`).
    guard let value = value as? Value else { preconditionFailure("\(name) holds a value of another type") }
    return form.write(value)
  }
}

/// A value for each setting of the table, by name.
struct SettingValues: Sendable {
  private var values: [String: any Sendable] = [:]

  subscript<Value>(_ setting: Setting<Value>) -> Value {
    get {
      // `SettingsTable.resolve` fills in all of them before anybody reads.
      guard let value = values[setting.name] as? Value else { preconditionFailure("\(setting.name) has no value") }
      return value
    }
    set { values[setting.name] = newValue }
  }

  mutating func set(_ setting: any SettingDefinition, to value: any Sendable) { values[setting.name] = value }

  /// Empty for a setting that has no value.
  func text(of setting: any SettingDefinition) -> String { values[setting.name].map(setting.anyText) ?? "" }
}
