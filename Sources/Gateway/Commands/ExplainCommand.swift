// `explain`: what the gateway would say about a token, and why.

import ArgumentParser
import HTTPSyntax
import POSIX
import Settings

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what the gateway makes of a token, check by check.",
    discussion: "Exit code 0: it would be allowed; 1: denied. The token's signature part is never printed.")

  @Argument(
    help: """
      The token, also as a pasted header or cookie line; without it, or as -, it is read from standard input, which \
      keeps it out of ps.
      """)
  var token: String?

  @Option(help: ArgumentHelp("The audience (AUD tag) of the application.", valueName: "aud"))
  var audience: String

  @Option(help: ArgumentHelp("Keys from a file or URL instead of keys-url.", valueName: "file-or-url"))
  var keys: String?

  @Option(help: ArgumentHelp("Judge as of this moment, in seconds since 1970, instead of now.", valueName: "seconds"))
  var now: Int?

  @OptionGroup(title: "Settings") var flags: SettingsFlags

  func validate() throws {
    guard isAudience(audience) else { throw ValidationError("--audience: 1 to 128 of A-Z a-z 0-9 . _ ~ -") }
    if let now, now < 0 { throw ValidationError("--now: whole seconds since 1970, not negative") }
  }

  func run() throws {
    let overrides = keys.map { [SettingsTable.all.keysLocations.name: keysText($0)] } ?? [:]
    let resolved = try flags.resolved(overrides: overrides)
    for warning in resolved.warnings { printError("access-gateway: warning: \(warning)") }
    let given = token == "-" ? nil : token
    try finish(Explain.run(token: given, audience: audience, nowSeconds: now, settings: resolved.settings))
  }
}

/// A path becomes a `file:` location; what has a scheme stays.
func keysText(_ text: String) -> String {
  if text.contains("://") || text.hasPrefix("file:") { return text }
  return "file:" + (text.hasPrefix("/") ? text : workingDirectory() + "/" + text)
}
