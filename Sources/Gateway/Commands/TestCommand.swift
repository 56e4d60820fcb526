// `test`: runs policy tests against a settings file. No network, no keys, and no settings but the file's policies.

import ArgumentParser
import POSIX
import Policy
import SettingsFile

struct TestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test", abstract: "Run policy tests against the settings file's applications.",
    discussion: """
      Prints the Test Anything Protocol (TAP), version 13. What a request leaves out is: the application's first host, GET, \
      /, no client address. Needs no network and no keys. Exit code 0: all passed; 1: one failed; 78: a mistake in one of \
      the two files.
      """)

  @Argument(help: "The file of policy tests, in YAML.") var file: String
  @Option(help: configHelp) var config: String?
  @Flag(help: "Say which policies and selectors no case decided.") var coverage = false

  func run() throws {
    let source = ConfigurationSource(
      flags: [:], environment: processEnvironment(), surroundings: processSurroundings(), fileFlag: config)
    let settings: ConfigurationSource.ReadFile
    switch source.readFile() {
    case .failure(let mistakes): throw Failure.configuration(ConfigurationMistakes(lines: mistakes.lines))
    case .success(nil):
      throw Failure.configuration(
        ConfigurationMistakes(lines: [
          "--config is not set: a settings file with applications (or \(ConfigurationSource.variable), or "
            + "\(ConfigurationSource.standardFile))"
        ]))
    case .success(let read?): settings = read
    }
    guard let definitions = settings.contents.policies else {
      let mistake = FileMistake(at: .start, key: "applications", value: "", allowed: "applications, which are tested")
      throw Failure.configuration(ConfigurationMistakes(lines: [mistake.line(file: settings.path)]))
    }
    let set: PolicySet
    switch PolicyFile.compile(definitions, settings.path) {
    case .failure(let mistakes): throw Failure.configuration(mistakes)
    case .success(let compiled): set = compiled
    }
    switch PolicyFile.cases(in: file, definitions, isTrusted: false) {
    case .failure(let mistakes): throw Failure.configuration(mistakes)
    case .success(let cases): try finish(report(cases, set, definitions))
    }
  }

  /// Runs the cases and prints what they gave. Returns the exit code.
  private func report(_ cases: [PolicyCase], _ set: PolicySet, _ definitions: PolicyDefinitions) -> Int32 {
    var runner = CaseRunner(set, definitions)
    let results = cases.map { runner.run($0, covering: coverage) }
    print(TAPReport.text(results), terminator: "")
    if coverage {
      for line in runner.uncovered { print("# uncovered: \(line)") }
    }
    return results.allSatisfy(\.isPassed) ? 0 : 1
  }
}
