// The health check's probe, against listeners that answer well, badly, slowly or not at all.

import Foundation
import Glibc
import Settings
import Testing

@testable import Gateway

@Test func `a gateway that is ready, or not, is told apart over IPv4, IPv6 and a path`() {
  for kind in [Listener.Kind.v4, .v6, .path] {
    let ready = Listener(kind, answering: ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
    #expect(HealthProbe.ask(ready.address, deadlineMilliseconds: 10_000) == .ready)
    #expect(ready.asked().hasPrefix("GET /readyz HTTP/1.1\r\n"))
    let unready = Listener(kind, answering: ["HT", "TP/1.1 5", "03 Service Unavailable\r\n\r\n"])
    #expect(HealthProbe.ask(unready.address, deadlineMilliseconds: 10_000) == .notReady(status: 503))
  }
}

@Test(arguments: [
  "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 200", "", "HTTP/2 200 OK\r\n\r\n",
  "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 +20 \r\n\r\n",
]) func `what is no HTTP is not ready`(_ answer: String) {
  let answer = HealthProbe.ask(Listener(.v4, answering: [answer]).address, deadlineMilliseconds: 10_000)
  guard case .failed(let why) = answer else {
    Issue.record("\(answer)")
    return
  }
  #expect(!why.isEmpty && !why.contains("\n"))
}

@Test func `nobody there, an early end and silence are not ready, and say which`() {
  func why(_ address: NetworkAddress, _ milliseconds: Int64 = 10_000) -> String {
    guard case .failed(let why) = HealthProbe.ask(address, deadlineMilliseconds: milliseconds) else { return "" }
    return why
  }
  #expect(why(.unix(path: "/nonexistent/socket")).contains("No such file"))
  // Port 1 is tcpmux, which nothing here serves.
  #expect(why(.tcp(host: "127.0.0.1", port: 1)).contains("refused"))
  let silent = Listener(.v4, answering: nil)
  #expect(why(silent.address, 50).contains("waiting for the response"))
}

/// Listens, takes one connection on its own thread, and answers in pieces.
private final class Listener: @unchecked Sendable {
  enum Kind { case v4, v6, path }

  let address: NetworkAddress
  private let socketDescriptor: Int32
  private let done = DispatchSemaphore(value: 0)
  private var question = ""

  /// - Parameter pieces: sent one by one, then the connection closes; nil: it is held, and nothing is ever said.
  init(_ kind: Kind, answering pieces: [String]?) {
    let family = kind == .v4 ? AF_INET : kind == .v6 ? AF_INET6 : AF_UNIX
    socketDescriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    switch kind {
    case .v4:
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      Listener.bind(socketDescriptor, &name)
      address = .tcp(host: "127.0.0.1", port: UInt16(bigEndian: name.sin_port))
    case .v6:
      var name = sockaddr_in6()
      name.sin6_family = sa_family_t(AF_INET6)
      name.sin6_addr = in6addr_loopback
      Listener.bind(socketDescriptor, &name)
      address = .tcp(host: "::1", port: UInt16(bigEndian: name.sin6_port))
    case .path:
      let path = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
      var name = sockaddr_un()
      name.sun_family = sa_family_t(AF_UNIX)
      unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: Array(path.utf8)) }
      Listener.bind(socketDescriptor, &name)
      address = .unix(path: path)
    }
    listen(socketDescriptor, 1)
    let listening = socketDescriptor
    Thread.detachNewThread {
      let connection = unsafe accept(listening, __SOCKADDR_ARG(__sockaddr__: nil), nil)
      if let pieces {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = unsafe read(connection, &buffer, buffer.count)
        self.question = String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
        for piece in pieces {
          let bytes = Array(piece.utf8)
          _ = unsafe send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
          usleep(1000)
        }
        close(connection)
      }
      self.done.signal()
    }
  }

  deinit {
    close(socketDescriptor)
    if case .unix(let path) = address { unsafe unlink(path) }
  }

  /// What was asked; waits for it.
  func asked() -> String {
    done.wait()
    return question
  }

  /// Binds, and reads back the name with its port.
  private static func bind<Name>(_ descriptor: Int32, _ name: inout Name) {
    var size = socklen_t(MemoryLayout<Name>.size)
    unsafe withUnsafeMutableBytes(of: &name) { bytes in
      let generic = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      _ = unsafe Glibc.bind(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: generic), size)
      _ = unsafe getsockname(descriptor, __SOCKADDR_ARG(__sockaddr__: generic), &size)
    }
  }
}
