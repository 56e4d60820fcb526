// A flag for each setting of the table. Only text is taken here; the table reads it.

import ArgumentParser
import HTTPFetch
import POSIX
import Settings

/// All settings as flags, for the commands that need them.
///
/// ArgumentParser finds flags by reflection, and fills them in by decoding. Both are answered from the table here, so that a
/// setting is a flag by standing in it.
struct SettingsFlags: ParsableArguments, CustomReflectable {
  /// The flags that were given, by setting name.
  private(set) var given: [String: String] = [:]

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: SettingKey.self)
    for row in SettingsTable.rows {
      let option = try container.decode(Option<String?>.self, forKey: SettingKey(stringValue: row.name))
      given[row.name] = option.wrappedValue
    }
  }

  var customMirror: Mirror {
    Mirror(self, children: SettingsTable.rows.map { (label: "_" + $0.name, value: settingOption($0)) })
  }

  /// Reads all settings from flags and environment; a mistake ends the command with its one line and 78. So does a
  /// `ca_file` that holds no certificates: every fetch of keys would fail by it.
  ///
  /// - Parameter overrides: texts by setting name that win over the flags.
  func resolved(overrides: [String: String] = [:]) throws -> ResolvedSettings {
    let flags = given.merging(overrides) { $1 }
    let environment = processEnvironment()
    do throws(SettingsError) {
      let resolved = try SettingsTable.resolve(
        flags: flags, environment: environment, surroundings: processSurroundings())
      if let path = resolved.settings.caFile, let fault = TrustedCertificates.fault(inFile: path) {
        throw SettingsTable.mistake(
          in: SettingsTable.all.caFile, allowed: "a file of PEM certificates, and system; \(fault)", flags: flags,
          environment: environment)
      }
      return resolved
    } catch {
      throw Failure.configuration(error)
    }
  }
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
