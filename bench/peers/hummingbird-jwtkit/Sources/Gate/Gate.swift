// The job in Hummingbird and JWTKit. Keys are in memory, every token is verified; one event loop.
//
//   gate PORT KEYS.json ISSUER

import Foundation
import HTTPTypes
import Hummingbird
import JWTKit
import Logging
import NIOPosix

struct Claims: JWTPayload {
  let aud: AudienceClaim
  let email: String
  let exp: ExpirationClaim
  let nbf: NotBeforeClaim
  let iss: IssuerClaim

  func verify(using algorithm: some JWTAlgorithm) throws {
    try exp.verifyNotExpired()
    try nbf.verifyNotBefore()
  }
}

@main
struct Gate {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 4, let port = Int(arguments[1]) else { exit(64) }
    let issuer = arguments[3]
    let keys = JWTKeyCollection()
    try await keys.add(jwksJSON: String(contentsOfFile: arguments[2], encoding: .utf8))

    let assertion = HTTPField.Name("Cf-Access-Jwt-Assertion")!
    let user = HTTPField.Name("X-Auth-User")!
    let router = Router()
    router.get("/auth/:audience") { request, context -> Response in
      guard let token = request.headers[assertion], let audience = context.parameters.get("audience"),
        let claims = try? await keys.verify(token, as: Claims.self), claims.iss.value == issuer,
        claims.aud.value.contains(audience)
      else { return Response(status: .unauthorized) }
      return Response(status: .ok, headers: [user: claims.email])
    }
    var logger = Logger(label: "gate")
    logger.logLevel = .error
    let application = Application(
      router: router, configuration: .init(address: .hostname("127.0.0.1", port: port), backlog: 4096),
      eventLoopGroupProvider: .shared(MultiThreadedEventLoopGroup(numberOfThreads: 1)), logger: logger)
    try await application.runService()
  }
}
