// `explain`: what the gateway would say about a token, and why.

import ArgumentParser
import Settings

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what the gateway makes of a token, check by check.",
    discussion: "Exit code 0: it would be allowed; 1: denied. The token's signature part is never printed.")

  @Argument(
    help:
      "The token, or the header or cookie line that holds it; without it, or as -, from standard input, which keeps it out of ps."
  )
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

/// An AUD tag as SPEC.md has it.
func isAudience(_ text: String) -> Bool {
  (1...128).contains(text.utf8.count)
    && text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"),
        UInt8(ascii: "-"):
        true
      default: false
      }
    }
}

/// A path becomes a `file:` location; what has a scheme stays.
func keysText(_ text: String) -> String {
  if text.contains("://") || text.hasPrefix("file:") { return text }
  return "file:" + (text.hasPrefix("/") ? text : workingDirectory() + "/" + text)
}
