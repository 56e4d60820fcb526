// How a command ends other than well: one line on stderr and an exit code (SPEC.md, "The process").

import ArgumentParser
import Glibc
import POSIX
import Settings
import Telemetry

/// Ends of a command; each is thrown from its `run`.
enum Failure {
  /// Something did not work: 1.
  static func failed(_ line: String) -> ExitCode {
    printError("access-gateway: \(line)")
    return ExitCode(1)
  }

  /// A mistake in the settings: 78 (EX_CONFIG).
  static func configuration(_ error: SettingsError) -> ExitCode {
    // Whoever starts the program may keep what it says: a token that was pasted into the wrong variable is left out.
    let error = SettingsError(
      source: error.source, value: error.value.map(TokenSearch.redact), allowed: error.allowed)
    printError("access-gateway: \(error)")
    return ExitCode(78)
  }

  /// Mistakes in settings or files: a line each, and 78.
  static func configuration(_ mistakes: ConfigurationMistakes) -> ExitCode {
    for line in mistakes.lines { printError("access-gateway: \(line)") }
    return ExitCode(78)
  }
}

/// Ends the command with a code; 0 is a plain return.
func finish(_ code: Int32) throws {
  if code != 0 { throw ExitCode(code) }
}
