// Runs the stand-in: alone until a signal (`issuer`), or on a thread beside the gateway (`demo`).

import EventLoops
import HTTPServing
import POSIX

package enum StandInServer {
  /// Runs until a signal ends it. Call on the main thread. Returns the exit code.
  ///
  /// - Parameter listen: a loopback TCP address.
  package static func run(listen: ListenAddress) -> Int32 {
    do {
      let socket = try ListenSocket.open(listen)
      let url = "http://\(socket.address)"
      let loop = try EventLoop()
      let signals = try SignalSource(on: loop) { if $0 != .hangUp { loop.stop() } }
      let server = try makeServer(url, socket, on: loop)
      print("issuer: \(url)")
      print("keys:   \(url)/cdn-cgi/access/certs")
      print("token:  curl '\(url)/token?aud=demo&email=you@example.com'")
      print("rotate: curl -X POST \(url)/rotate")
      flushOutput()
      withExtendedLifetime((signals, server)) { loop.run() }
      return 0
    } catch {
      printError("access-gateway: issuer: \(error)")
      return 1
    }
  }

  /// Runs on a thread of its own for the rest of the process. Returns the issuer's URL.
  package static func start(listen: ListenAddress) throws(SystemError) -> String {
    let socket = try ListenSocket.open(listen)
    let url = "http://\(socket.address)"
    try LoopThread.start("issuer") {
      do {
        let loop = try EventLoop()
        let server = try makeServer(url, socket, on: loop)
        withExtendedLifetime(server) { loop.run() }
      } catch {
        printError("access-gateway: issuer: \(error)")
      }
    }
    return url
  }

  /// - Throws: `IssuerError` where no key can be made, else `SystemError`.
  private static func makeServer(
    _ url: String, _ socket: ListenSocket, on loop: EventLoop
  ) throws -> HTTPServer {
    let address = "\(socket.address)"
    let host = String(address[..<(address.lastIndex(of: ":") ?? address.endIndex)])
    let issuer = try StandInIssuer(issuer: url)
    let server = try HTTPServer(
      on: loop, limits: ServerLimits(), budget: ConnectionBudget(limit: 1024),
      handler: StandInHandler(issuer, host: host))
    try server.accept(on: socket)
    return server
  }
}
