// A flag for each setting of the table. Only text is taken here; the table reads it.

import ArgumentParser
import POSIX
import Settings

/// All settings as flags, and `--config`, for the commands that need them.
///
/// ArgumentParser finds flags by reflection, and fills them in by decoding. Both are answered from the table here, so that a
/// setting is a flag by standing in it.
struct SettingsFlags: ParsableArguments, CustomReflectable {
  /// The flags that were given, by setting name.
  private(set) var given: [String: String] = [:]
  /// The settings file, if `--config` names one.
  private(set) var config: String?

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: SettingKey.self)
    config = try container.decode(Option<String?>.self, forKey: SettingKey(stringValue: "config")).wrappedValue
    for row in SettingsTable.rows {
      let option = try container.decode(Option<String?>.self, forKey: SettingKey(stringValue: row.name))
      given[row.name] = option.wrappedValue
    }
  }

  var customMirror: Mirror {
    Mirror(
      self,
      children: [(label: "_config", value: Option<String?>(name: .customLong("config"), help: configHelp))]
        + SettingsTable.rows.map { (label: "_" + $0.name, value: settingOption($0)) })
  }

  /// Where settings and policies come from.
  ///
  /// - Parameter overrides: texts by setting name that win over the flags.
  func source(overrides: [String: String] = [:]) -> ConfigurationSource {
    ConfigurationSource(
      flags: given.merging(overrides) { $1 }, environment: processEnvironment(), surroundings: processSurroundings(),
      fileFlag: config)
  }
}

extension ConfigurationSource {
  /// Reads everything; mistakes end the command with a line each and 78.
  func loaded() throws -> Configuration {
    switch load() {
    case .success(let configuration): return configuration
    case .failure(let mistakes): throw Failure.configuration(mistakes)
    }
  }
}

/// The help of `--config`.
var configHelp: ArgumentHelp {
  ArgumentHelp(
    "The settings file, in YAML: settings by their names, applications and their policies. (variable: "
      + "\(ConfigurationSource.variable); default: \(ConfigurationSource.standardFile), if it is there)",
    valueName: "file")
}

/// A setting's name as a key of the decoder.
private struct SettingKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }

  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { return nil }
}

/// A setting as a flag of its name, with its help.
private func settingOption(_ row: any SettingDefinition) -> Option<String?> {
  Option(name: settingFlag(row), help: settingHelp(row))
}

/// `--team-domain`.
func settingFlag(_ row: any SettingDefinition) -> NameSpecification { .customLong(row.flagName) }

/// The setting's help with its variable, default and what is allowed.
func settingHelp(_ row: any SettingDefinition) -> ArgumentHelp {
  var help = ArgumentHelp(stringLiteral: row.fullHelp)
  help.valueName = row.placeholder
  return help
}
