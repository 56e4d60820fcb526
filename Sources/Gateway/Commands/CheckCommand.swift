// `check`: are the settings right, and can the keys be had?

import ArgumentParser
import Settings

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check the settings and fetch the keys once.",
    discussion: "Prints each setting as it would be used. Exit code 78: a setting is wrong; 1: the keys can't be had.")

  @Flag(help: "Check the settings only, without the network.") var offline = false
  @OptionGroup(title: "Settings") var flags: SettingsFlags

  func run() throws {
    let resolved = try flags.resolved()
    for warning in resolved.warnings { printError("access-gateway: warning: \(warning)") }
    for row in SettingsTable.rows { print("\(row.name) = \(resolved.settings.text(of: row))") }
    if !offline { try finish(Check.keys(resolved.settings)) }
  }
}
