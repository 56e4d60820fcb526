// The program's start, its command and its subcommands. What each does is in its own file.

import ArgumentParser
import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import Settings

// No closure may be written in `main`: it would inherit the main actor and end the process on any other thread.
@main
enum Program {
  static func main() {
    SignalSource.block()
    AccessGateway.runAsProgram()
  }
}

/// A command that takes signals by a `SignalSource`. All others end at one in the usual way.
protocol TakesSignals: ParsableCommand {}

struct AccessGateway: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "access-gateway",
    abstract: "Checks Cloudflare Access tokens for a reverse proxy.",
    discussion: """
      A proxy (Traefik, Caddy, nginx, Envoy, HAProxy) asks /auth/<audience> about each request, and gets 200 with \
      identity headers or a denial. Without a subcommand, serve runs.

      Settings, by flag, by variable or in a YAML file (--config FILE, GATEWAY_CONFIG, or \
      \(ConfigurationSource.standardFile) if it is there), flags over variables over the file (serve --help says what each \
      does):

      \(SettingsTable.helpText)

      Exit codes: 0 fine, 1 failed, 64 usage, 78 configuration.
      """,
    version: programVersion,
    subcommands: [
      ServeCommand.self, CheckCommand.self, TestCommand.self, ExplainCommand.self, SchemaCommand.self,
      HealthcheckCommand.self, KeysCommand.self, TokenCommand.self, IssuerCommand.self, DemoCommand.self,
      SelfSignedCommand.self,
    ],
    defaultSubcommand: ServeCommand.self)

  /// Reads the command line and runs what it asks for; ends the process where that fails, with its exit code. Signals are
  /// blocked before, and stay so in a command that `TakesSignals`.
  fileprivate static func runAsProgram() {
    do {
      var command = try parseAsRoot()
      if !(command is any TakesSignals) { SignalSource.unblock() }
      try command.run()
    } catch {
      exit(withError: error)
    }
  }
}

/// What `--version` prints, and the version in the metrics.
let programVersion = "0.1.0"
