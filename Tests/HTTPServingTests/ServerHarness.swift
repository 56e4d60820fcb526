// A server and its clients on one thread: the test turns the loop by hand, so it decides what the kernel has ready when
// the loop looks. Clients are plain sockets and hold whatever bytes a test sends.

import Foundation
import HTTPSyntax
import EventLoops
import POSIX
import Testing

@testable import HTTPServing

/// Answers at once with the target as the body; a target that starts with `/wait` is put on hold.
final class ScriptedHandler: RequestHandler {
  var held: [Exchange] = []
  var refusals: [Refusal] = []
  var opened = 0
  var closed = 0
  var answered = 0
  /// Bytes of each body.
  var padding = 0

  func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange, into reply: inout Reply
  ) -> Decision {
    let target = head.target.map { bytes[$0] }
    if target.starts(with: "/wait".utf8) {
      held.append(exchange)
      return .wait
    }
    answered += 1
    reply.status = 200
    reply.append(body: target + [UInt8](repeating: 46, count: padding))
    return .reply
  }

  func refused(_ refusal: Refusal, _ bytes: Span<UInt8>) { refusals.append(refusal) }
  func connectionOpened() { opened += 1 }
  func connectionClosed() { closed += 1 }
  func acceptFailed(_ error: SystemError) {}
}

final class ServerHarness {
  let loop: EventLoop
  let server: HTTPServer
  let handler = ScriptedHandler()
  let port: UInt16
  private var clients: [TestClient] = []

  init(
    _ limits: ServerLimits = ServerLimits(), budget: ConnectionBudget = ConnectionBudget(limit: 1000)
  ) throws {
    loop = try EventLoop()
    server = try HTTPServer(on: loop, limits: limits, budget: budget, handler: handler)
    let socket = try ListenSocket.open(.tcp(host: "127.0.0.1", port: 0))
    guard case .tcp(_, let port) = socket.address else { throw SystemError("port") }
    self.port = port
    try server.accept(on: socket)
  }

  /// A client that the server has accepted.
  func connect() throws -> TestClient {
    let client = try TestClient(port)
    clients.append(client)
    let before = handler.opened
    try turn(until: "accepted") { handler.opened > before }
    return client
  }

  /// Sends, and turns until a reply or the end has come.
  @discardableResult
  func ask(_ client: TestClient, _ text: String) throws -> String {
    client.send(text)
    let before = client.received.count
    try turn(until: "answered") {
      client.receive()
      return client.received.count > before || client.hasEnded
    }
    return String(client.received.dropFirst(before))
  }

  /// Turns the loop until `condition` holds; a failed test after 10 s.
  func turn(until what: Comment, _ condition: () -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(10)
    while !condition() {
      loop.turn()
      try #require(ContinuousClock.now < deadline, what)
      usleep(100)
    }
  }

  /// Ends a test: every client leaves, and the server must notice.
  func end() throws {
    for client in clients { client.close() }
    for exchange in handler.held { server.finish(exchange) { $0.status = 200 } }
    handler.held = []
    try turn(until: "all are gone") { server.openConnections == 0 }
    #expect(handler.opened == handler.closed)
  }
}

/// A client's socket.
final class TestClient {
  private(set) var descriptor: Int32
  private(set) var received = ""
  private(set) var hasEnded = false

  init(_ port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let connected = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Foundation.connect(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: $0), size)
      }
    }
    guard connected == 0 else { throw SystemError("connect") }
  }

  deinit { close() }

  func send(_ text: String) {
    let bytes = Array(text.utf8)
    _ = unsafe Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
  }

  /// Takes in what is there.
  func receive() {
    var bytes = [UInt8](repeating: 0, count: 65_536)
    while !hasEnded {
      let count = unsafe recv(descriptor, &bytes, bytes.count, Int32(MSG_DONTWAIT))
      if count > 0 { received += String(decoding: bytes[..<count], as: UTF8.self) }
      if count == 0 || count < 0 && errno != EAGAIN { hasEnded = true }
      if count <= 0 { return }
    }
  }

  var replies: Int { received.components(separatedBy: "HTTP/1.1 ").count - 1 }

  /// Sends no more.
  func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

  func reset() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  func close() {
    guard descriptor >= 0 else { return }
    Foundation.close(descriptor)
    descriptor = -1
  }
}

func get(_ target: String, _ lines: String...) -> String {
  "GET \(target) HTTP/1.1\r\nHost: a\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\n"
}
