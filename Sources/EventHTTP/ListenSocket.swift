// Listening sockets: an address in words becomes a bound, listening, non-blocking descriptor. Nothing is accepted here.

import CEvent
import Glibc

/// Where a server listens.
public enum ListenAddress: Equatable, Sendable, CustomStringConvertible {
  /// `host` is a numeric IPv4 or IPv6 address with no brackets; port 0 takes any that is free.
  case tcp(host: String, port: UInt16)
  /// A path of at most 107 bytes.
  case unix(path: String)

  public var description: String {
    switch self {
    case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// A listening socket. Whoever holds it may hand its descriptor to one server, which then owns and closes it.
public struct ListenSocket: Sendable {
  /// Non-blocking and close-on-exec.
  public let descriptor: Int32
  /// As bound: the kernel's choice stands in place of port 0.
  public let address: ListenAddress

  /// Opens, binds and listens.
  ///
  /// TCP sockets get SO_REUSEPORT, so that each event loop has its own and a new process can start beside an old one,
  /// and TCP_NODELAY, which accepted connections inherit.
  /// - Throws: `SystemError` that names the step and the address.
  public static func open(_ address: ListenAddress) throws(SystemError) -> ListenSocket {
    switch address {
    case .tcp(let host, let port): try openTCP(host, port)
    case .unix(let path): try openUnix(path)
    }
  }

  /// Another socket for the same address, for another loop: bound beside this one, or, where the kernel has no
  /// SO_REUSEPORT (`unix:`), the same socket under another descriptor.
  public func sibling() throws(SystemError) -> ListenSocket {
    guard case .unix = address else { return try .open(address) }
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw SystemError("dup \(address)") }
    return ListenSocket(descriptor: copy, address: address)
  }

  private static func openTCP(_ host: String, _ port: UInt16) throws(SystemError) -> ListenSocket {
    let name = ListenAddress.tcp(host: host, port: port).description
    var hints = unsafe addrinfo()
    unsafe hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &found)
    guard code == 0, let info = unsafe found else { throw SystemError("\(name) is no numeric address", code: 0) }
    defer { unsafe freeaddrinfo(found) }

    let descriptor = try newSocket(unsafe info.pointee.ai_family)
    do throws(SystemError) {
      for (level, option) in [
        (SOL_SOCKET, SO_REUSEADDR), (SOL_SOCKET, SO_REUSEPORT), (Int32(IPPROTO_TCP), TCP_NODELAY),
      ] {
        var on: Int32 = 1
        guard unsafe setsockopt(descriptor, level, option, &on, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
          throw SystemError("setsockopt \(name)")
        }
      }
      let bindAddress = unsafe __CONST_SOCKADDR_ARG(__sockaddr__: info.pointee.ai_addr)
      guard unsafe bind(descriptor, bindAddress, info.pointee.ai_addrlen) == 0 else {
        throw SystemError("bind \(name)")
      }
      guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemError("listen \(name)") }
      return ListenSocket(descriptor: descriptor, address: .tcp(host: host, port: try boundPort(descriptor)))
    } catch {
      close(descriptor)
      throw error
    }
  }

  private static func openUnix(_ path: String) throws(SystemError) -> ListenSocket {
    let name = "unix:\(path)"
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      throw SystemError("\(name) is longer than a socket's path may be", code: 0)
    }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let descriptor = try newSocket(AF_UNIX)
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let bound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        let bindAddress = unsafe __CONST_SOCKADDR_ARG(__sockaddr__: generic)
        if unsafe bind(descriptor, bindAddress, size) == 0 { return true }
        guard errno == EADDRINUSE, unsafe isStale(generic, size) else { return false }
        _ = unsafe unlink(path)
        return unsafe bind(descriptor, bindAddress, size) == 0
      }
    }
    guard bound, Glibc.listen(descriptor, backlog) == 0 else {
      let error = SystemError("listen \(name)")
      close(descriptor)
      throw error
    }
    return ListenSocket(descriptor: descriptor, address: .unix(path: path))
  }

  /// A socket file that nobody listens on any more: left by a process that died. A living one is never taken over.
  private static func isStale(_ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Bool {
    let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe >= 0 else { return false }
    defer { close(probe) }
    return unsafe connect(probe, __CONST_SOCKADDR_ARG(__sockaddr__: address), size) != 0 && errno == ECONNREFUSED
  }

  private static func newSocket(_ family: Int32) throws(SystemError) -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, kind, 0)
    guard descriptor >= 0 else { throw SystemError("socket") }
    return descriptor
  }

  private static func boundPort(_ descriptor: Int32) throws(SystemError) -> UInt16 {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let port: UInt16? = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      let named = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(descriptor, __SOCKADDR_ARG(__sockaddr__: $0), &size)
      }
      guard named == 0 else { return nil }
      // The port stands at the same place in sockaddr_in and sockaddr_in6.
      return unsafe pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
        unsafe UInt16(bigEndian: $0.pointee.sin_port)
      }
    }
    guard let port else { throw SystemError("getsockname") }
    return port
  }

  /// More than any proxy opens at once; the kernel cuts it to net.core.somaxconn.
  private static let backlog: Int32 = 4096
}
