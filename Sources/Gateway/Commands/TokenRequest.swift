// Asks a stand-in issuer for a token.

import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import Telemetry
import DevIssuer
import Settings

enum TokenRequest {
  /// Prints the token on stdout. Returns the exit code.
  ///
  /// - Parameters:
  ///   - issuer: where the stand-in listens.
  ///   - lifetime: seconds; nil leaves it to the stand-in.
  static func run(audience: String, subject: TokenSubject, lifetime: Int?, issuer: WebURL) -> Int32 {
    var query = "aud=\(Query.encoded(audience))"
    switch subject {
    case .user(let email): query += "&email=\(Query.encoded(email))"
    case .service(let name): query += "&common_name=\(Query.encoded(name))"
    }
    if let lifetime { query += "&lifetime=\(lifetime)" }
    let target = FetchTarget(isTLS: false, host: issuer.host, port: issuer.port, path: "/token?\(query)")
    switch BlockingFetch.response(from: target) {
    case .failure(let failure):
      printError("access-gateway: no token from \(issuer): \(failure) (is `access-gateway issuer` running there?)")
      return 1
    case .success(let response):
      let text = String(decoding: response.body, as: UTF8.self)
      guard response.status == 200 else {
        printError("access-gateway: no token from \(issuer): \(Printable.text(response.body))")
        return 1
      }
      print(text)
      return 0
    }
  }
}
