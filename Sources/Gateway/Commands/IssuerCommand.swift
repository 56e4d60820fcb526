// `issuer`: a stand-in for a team, to try things out.

import ArgumentParser
import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import DevIssuer
import Settings

struct IssuerCommand: TakesSignals {
  static let configuration = CommandConfiguration(
    commandName: "issuer", abstract: "Run a small stand-in for a team, on loopback only.",
    discussion: """
      Makes keys at start and serves them at /cdn-cgi/access/certs, mints tokens at /token?aud=...&email=... (or \
      common_name=... for a service token), and rotates the keys on POST /rotate. For trying things out and for tests.
      """)

  @Option(help: ArgumentHelp("Where to listen: a loopback host:port; port 0 is any free one.", valueName: "address"))
  var listen = "127.0.0.1:9000"

  func validate() throws { _ = try loopback(listen, "--listen") }

  func run() throws {
    SignalSource.block()
    try finish(StandInServer.run(listen: ListenAddress(try loopback(listen, "--listen"))))
  }
}

/// A loopback TCP address for the stand-in and the demo; the stand-in mints tokens for anyone who asks.
func loopback(_ text: String, _ flag: String) throws -> NetworkAddress {
  guard let address = NetworkAddress(text), case .tcp = address, address.isLoopback else {
    throw ValidationError("\(flag): a loopback host:port, such as 127.0.0.1:9000")
  }
  return address
}
