// What becomes of new connections as the sockets of an older process close beside those of a newer one.

import Foundation
import Glibc
import Synchronization
import Testing

@testable import POSIX

/// Connects to a port again and again, on threads of its own, and counts what comes of it.
private final class Clients: Sendable {
  private let isOver = Atomic<Bool>(false)
  private let running = Atomic<Int>(0)
  let answered = Atomic<Int>(0)
  let reset = Atomic<Int>(0)

  init(port: UInt16, threads: Int) {
    running.store(threads, ordering: .relaxed)
    for _ in 0..<threads {
      Thread.detachNewThread { [self] in
        while !isOver.load(ordering: .relaxed) { once(port) }
        running.subtract(1, ordering: .relaxed)
      }
    }
  }

  private func once(_ port: UInt16) {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(client) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let connected = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(client, __CONST_SOCKADDR_ARG(__sockaddr__: $0), size)
      }
    }
    var byte: UInt8 = 0
    if connected == 0, unsafe read(client, &byte, 1) == 1 {
      answered.add(1, ordering: .relaxed)
    } else if errno == ECONNRESET {
      reset.add(1, ordering: .relaxed)
    }
    // No TIME_WAIT, so that the ports last.
    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
  }

  /// Ends the threads; `serve` is called meanwhile, so that none waits for an answer for ever.
  func end(_ serve: () -> Void) {
    isOver.store(true, ordering: .relaxed)
    while running.load(ordering: .relaxed) > 0 { serve() }
  }
}

@Suite(.serialized) struct ReusePortGroupTests {
  private func open(port: UInt16 = 0) throws -> ListenSocket {
    var options = ListenOptions()
    options.sharesPort = true
    let socket = try ListenSocket.open(.tcp(host: "127.0.0.1", port: port), options)
    try socket.startListening()
    return socket
  }

  private func port(of socket: ListenSocket) throws -> UInt16 {
    guard case .tcp(_, let port) = socket.address else { throw SystemError("no port", code: EINVAL) }
    return port
  }

  /// Takes one connection, if there is one, and answers with a byte.
  private func serve(_ socket: ListenSocket) {
    let connection = unsafe accept(socket.descriptor, __SOCKADDR_ARG(__sockaddr__: nil), nil)
    guard connection >= 0 else { return }
    var byte: UInt8 = 1
    _ = unsafe send(connection, &byte, 1, Int32(MSG_NOSIGNAL))
    close(connection)
  }

  @Test func `no connection is reset while an older process's sockets close`() throws {
    var old = [try open()]
    let port = try port(of: old[0])
    old.append(try open(port: port))
    let clients = Clients(port: port, threads: 4)
    for _ in 0..<100 {
      let new = [try open(port: port), try open(port: port)]
      for _ in 0..<100 { (old + new).forEach(serve) }
      #expect(ReusePortGroup.leaveToNewer(old[0].descriptor, ownCount: old.count))
      for _ in 0..<200 { (old + new).forEach(serve) }
      for socket in old { close(socket.descriptor) }
      old = new
    }
    clients.end { old.forEach(serve) }
    for socket in old { close(socket.descriptor) }
    #expect(clients.answered.load(ordering: .relaxed) > 1000)
    #expect(clients.reset.load(ordering: .relaxed) == 0)
  }

  @Test func `others at the same address are told from one's own and from those elsewhere`() throws {
    let own = [try open()]
    let port = try port(of: own[0])
    let elsewhere = try open()
    #expect(ReusePortGroup.others(besides: own.map(\.descriptor)).isEmpty)
    let other = try open(port: port)
    #expect(ReusePortGroup.others(besides: own.map(\.descriptor)).count == 1)
    #expect(ReusePortGroup.others(besides: [own[0].descriptor, other.descriptor]).isEmpty)
    for socket in own + [elsewhere, other] { close(socket.descriptor) }
  }
}
