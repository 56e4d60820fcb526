// `token`: a token from a running stand-in issuer.

import ArgumentParser
import HTTPSyntax
import Settings

struct TokenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "token", abstract: "Get a token from a running stand-in (see issuer), and print it.")

  @Option(help: ArgumentHelp("The audience (AUD tag) that the token is for.", valueName: "aud"))
  var audience: String

  @Option(help: ArgumentHelp("The user's email.", valueName: "address")) var email: String?

  @Option(help: ArgumentHelp("A service token of this name (common_name) instead of a user's.", valueName: "name"))
  var service: String?

  @Option(help: ArgumentHelp("Seconds until it expires; negative: it has.", valueName: "seconds"))
  var lifetime: Int?

  @Option(help: ArgumentHelp("The stand-in's address: http:// and a loopback host.", valueName: "url"))
  var issuer = "http://127.0.0.1:9000"

  func validate() throws {
    guard isAudience(audience) else { throw ValidationError("--audience: 1 to 128 of A-Z a-z 0-9 . _ ~ -") }
    guard email == nil || service == nil else { throw ValidationError("--email, --service: give one of them") }
    guard case .web(let url)? = KeysLocation(issuer), !url.isSecure else {
      throw ValidationError("--issuer: an http:// URL to a loopback host")
    }
  }

  func run() throws {
    guard case .web(let url)? = KeysLocation(issuer) else { throw ExitCode(64) }
    let subject = service.map(TokenSubject.service) ?? .user(email: email ?? "demo@example.com")
    try finish(TokenRequest.run(audience: audience, subject: subject, lifetime: lifetime, issuer: url))
  }
}

/// Whom a minted token is for.
enum TokenSubject: Equatable {
  case user(email: String)
  case service(commonName: String)
}
