// The program's command and its subcommands. What each does is in its own file.

import ArgumentParser
import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import Settings

// `main` is calls alone: a closure that is written in it would inherit the main actor and end the process on any other
// thread.
@main
struct AccessGateway: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "access-gateway",
    abstract: "Checks Cloudflare Access tokens for a reverse proxy.",
    discussion: """
      A proxy (Traefik, Caddy, nginx, Envoy, HAProxy) asks /auth/<audience> about each request, and gets 200 with \
      identity headers or a denial. Without a subcommand, serve runs.

      Settings, by flag or variable, flags over variables (serve --help says what each does):

      \(SettingsTable.helpText)

      Exit codes: 0 fine, 1 failed, 64 usage, 78 configuration.
      """,
    version: programVersion,
    subcommands: [
      ServeCommand.self, CheckCommand.self, ExplainCommand.self, HealthcheckCommand.self, KeysCommand.self,
      TokenCommand.self,
      IssuerCommand.self, DemoCommand.self,
    ],
    defaultSubcommand: ServeCommand.self)

  static func main() {
    SignalSource.ignoreBrokenPipes()
    main(nil)
  }
}

/// What `--version` prints, and the version in the metrics.
let programVersion = "0.1.0"
