// `check`: are settings and policies right, and can the keys be had?

import ArgumentParser
import POSIX
import Settings

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Check settings and policies, try what serve needs, and fetch the keys once.",
    discussion: """
      Prints each setting as it would be used, and notes on what is no mistake in the settings file and may still not be \
      meant. Then tries what serve would do: write to the state folder, read the CA file, bind the addresses, fetch the \
      keys. Exit code 78: something in settings, policies or their tests is wrong; 1: something of the rest failed.
      """)

  /// How the outcome is printed.
  enum Output: String, ExpressibleByArgument, CaseIterable {
    case text, json
  }

  @Flag(help: "Check settings and files only: nothing is bound, written or fetched.") var offline = false
  @Option(help: "text, or json: one object with settings, notes, warnings and mistakes, as with --offline.")
  var output = Output.text
  @OptionGroup(title: "Settings") var flags: SettingsFlags

  func run() throws {
    let outcome = flags.source().load().flatMap { configuration in
      // Missing or bad, it would end a start.
      configuration.revocations().map { _ in configuration }
    }
    if output == .json {
      print(CheckReport.json(outcome))
      if case .failure = outcome { try finish(78) }
      return
    }
    switch outcome {
    case .failure(let mistakes): throw Failure.configuration(mistakes)
    case .success(let configuration): try check(configuration)
    }
  }

  private func check(_ configuration: Configuration) throws {
    let settings = configuration.settings
    for warning in configuration.warnings { printError("access-gateway: warning: \(warning)") }
    for row in SettingsTable.rows { print("\(row.name) = \(settings.text(of: row))") }
    for line in CheckReport.notes(configuration) { print(line) }
    let options = try settings.listenOptions()
    if offline { return }
    let failures = ServeTrial.failures(settings, options)
    for failure in failures { printError("access-gateway: \(failure)") }
    let code = KeyFetchTrial.keys(settings)
    try finish(failures.isEmpty ? code : 1)
  }
}
