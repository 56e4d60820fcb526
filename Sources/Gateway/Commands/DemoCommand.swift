// `demo`: stand-in and gateway together.

import ArgumentParser
import HTTPSyntax
import Settings

struct DemoCommand: TakesSignals {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Run a stand-in issuer and the gateway together, and print commands to try.",
    discussion: "All on loopback; nothing is kept. Ends on Ctrl-C.")

  @Option(help: ArgumentHelp("Where the gateway listens: a loopback host:port.", valueName: "address"))
  var listen = "127.0.0.1:8000"

  @Option(help: ArgumentHelp("Where the admin pages are: a loopback host:port.", valueName: "address"))
  var admin = "127.0.0.1:8001"

  @Option(help: ArgumentHelp("Where the stand-in listens: a loopback host:port.", valueName: "address"))
  var issuer = "127.0.0.1:9000"

  @Option(help: ArgumentHelp("The audience in the printed commands.", valueName: "aud")) var audience = "demo"

  func validate() throws {
    guard isAudience(audience) else { throw ValidationError("--audience: 1 to 128 of A-Z a-z 0-9 . _ ~ -") }
    let addresses = [
      try loopback(listen, "--listen"), try loopback(admin, "--admin"), try loopback(issuer, "--issuer"),
    ]
    guard Set(addresses).count == 3 else { throw ValidationError("--listen, --admin, --issuer: three addresses") }
  }

  func run() throws {
    try finish(
      Demo.run(
        listen: try loopback(listen, "--listen"), admin: try loopback(admin, "--admin"),
        issuer: try loopback(issuer, "--issuer"), audience: audience))
  }
}
