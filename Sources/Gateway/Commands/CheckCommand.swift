// `check`: are the settings right, and can the keys be had?

import ArgumentParser
import POSIX
import Settings

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check the settings, try what serve needs, and fetch the keys once.",
    discussion: """
      Prints each setting as it would be used, then tries what serve would do: write to the state folder, read the CA file, \
      bind the addresses, fetch the keys. Exit code 78: a setting is wrong; 1: something of this failed.
      """)

  @Flag(help: "Check the settings only: nothing is bound, written or fetched.") var offline = false
  @OptionGroup(title: "Settings") var flags: SettingsFlags

  func run() throws {
    let resolved = try flags.resolved()
    for warning in resolved.warnings { printError("access-gateway: warning: \(warning)") }
    for row in SettingsTable.rows { print("\(row.name) = \(resolved.settings.text(of: row))") }
    let options = try resolved.settings.listenOptions()
    if offline { return }
    let failures = ServeTrial.failures(resolved.settings, options)
    for failure in failures { printError("access-gateway: \(failure)") }
    let code = KeyFetchTrial.keys(resolved.settings)
    try finish(failures.isEmpty ? code : 1)
  }
}
