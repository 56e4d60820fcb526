// `explain`: what the gateway would say about a token, and why.

import ArgumentParser
import EventLoops
import HTTPSyntax
import POSIX
import Policy
import Settings

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain", abstract: "Say what the gateway makes of a token, check by check.",
    discussion: """
      With --audience: the token alone. With --application, a name in the settings file: the token, then each policy and \
      selector (yes, no or unknown, and why), and the line of the file that decides; without a token, what a request without \
      one gets. Exit code 0: it would be allowed; 1: denied. The token's signature part is never printed.
      """)

  @Argument(
    help: """
      The token, also as a pasted header or cookie line; without it, or as -, it is read from standard input, which \
      keeps it out of ps.
      """)
  var token: String?

  @Option(help: ArgumentHelp("The audience (AUD tag) of the application.", valueName: "aud"))
  var audience: String?

  @Option(help: ArgumentHelp("An application of the settings file, by its name or an audience.", valueName: "name"))
  var application: String?

  @Option(help: ArgumentHelp("The original request's method; GET where it is left out.", valueName: "method"))
  var method: String?

  @Option(help: ArgumentHelp("Its host; the application's first where it is left out.", valueName: "host"))
  var host: String?

  @Option(help: ArgumentHelp("Its path as the proxy sends it; / where it is left out.", valueName: "path"))
  var path: String?

  @Option(help: ArgumentHelp("The client's address; unknown where it is left out.", valueName: "address"))
  var clientIp: String?

  @Option(help: ArgumentHelp("Keys from a file or URL instead of keys-url.", valueName: "file-or-url"))
  var keys: String?

  @Option(help: ArgumentHelp("Judge as of this moment, in seconds since 1970, instead of now.", valueName: "seconds"))
  var now: Int?

  @OptionGroup(title: "Settings") var flags: SettingsFlags

  func validate() throws {
    guard (audience == nil) != (application == nil) else {
      throw ValidationError("one of --audience and --application is needed")
    }
    if let audience, !isAudience(audience) { throw ValidationError("--audience: 1 to 128 of A-Z a-z 0-9 . _ ~ -") }
    if application == nil, [method, host, path, clientIp].contains(where: { $0 != nil }) {
      throw ValidationError("--method, --host, --path and --client-ip go with --application")
    }
    if let clientIp, IPAddress(clientIp) == nil {
      throw ValidationError("--client-ip: an address without port or zone")
    }
    if let now, now < 0 { throw ValidationError("--now: whole seconds since 1970, not negative") }
  }

  func run() throws {
    let overrides = keys.map { [SettingsTable.all.keysLocations.name: keysText($0)] } ?? [:]
    let configuration = try flags.source(overrides: overrides).loaded()
    for warning in configuration.warnings { printError("access-gateway: warning: \(warning)") }
    let given = token == "-" ? nil : token
    let now = now.map(Double.init) ?? Clock.wallSeconds
    if let audience {
      return try finish(Explain.run(token: given, audience: audience, now: now, settings: configuration.settings))
    }
    let request = CaseRequest(host: host, method: method, path: path, clientAddress: clientIp)
    let revocations: RevocationTable
    switch configuration.revocations() {
    case .failure(let mistakes): throw Failure.configuration(mistakes)
    case .success(let list): revocations = RevocationTable(list)
    }
    guard let explain = ExplainApplication(application ?? "", request, configuration, revocations, now: now) else {
      throw Failure.configuration(
        ConfigurationMistakes(lines: ["--application: the settings file names no applications"]))
    }
    try finish(explain.run(token: given))
  }
}

/// A path becomes a `file:` location; what has a scheme stays.
func keysText(_ text: String) -> String {
  if text.contains("://") || text.hasPrefix("file:") { return text }
  return "file:" + (text.hasPrefix("/") ? text : workingDirectory() + "/" + text)
}
