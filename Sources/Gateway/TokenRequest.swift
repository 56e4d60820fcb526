// Asks a stand-in issuer for a token.

import Settings

enum TokenRequest {
  /// Prints the token on stdout.
  ///
  /// - Parameter issuer: where the stand-in listens.
  /// - Returns: the exit code.
  static func run(audience: String, subject: TokenSubject, issuer: WebURL) -> Int32 {
    printError("access-gateway: token: this build asks no issuer: \(issuer)")
    return 1
  }
}
