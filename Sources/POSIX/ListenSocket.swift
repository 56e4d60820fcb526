// Listening sockets: an address in words becomes a bound, listening, non-blocking descriptor. Nothing is accepted here.

import Glibc

/// Where a server listens.
public enum ListenAddress: Equatable, Sendable, CustomStringConvertible {
  /// `host` is a numeric IPv4 or IPv6 address with no brackets; port 0 takes any that is free.
  case tcp(host: String, port: UInt16)
  /// A path of at most `longestPath` bytes.
  case unix(path: String)

  /// Bytes of a `unix:` socket's path: what `sun_path` holds beside its NUL (unix(7)).
  public static let longestPath = 107

  public var description: String {
    switch self {
    case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// How a listening socket is made.
public struct ListenOptions: Equatable, Sendable {
  /// `[::]` takes IPv4 too (IPV6_V6ONLY off, whatever the system's default is).
  public var takesBothFamilies = true
  /// SO_REUSEPORT: the sockets of all loops, and those of another process of the same user, share a port. Without it
  /// opening fails where anybody listens.
  public var sharesPort = false
  /// Permissions of a `unix:` socket's file: who may write it may connect.
  public var mode: UInt32 = 0o660
  /// Owner of a `unix:` socket's file; nil leaves the process's own.
  public var user: UInt32?
  /// Its group.
  public var group: UInt32?
  public init() {}
}

/// A listening socket. Whoever holds it may hand its descriptor to one server, which then owns and closes it.
public struct ListenSocket: Sendable {
  /// Non-blocking and close-on-exec.
  public let descriptor: Int32
  /// As bound: the kernel's choice stands in place of port 0.
  public let address: ListenAddress
  private let options: ListenOptions
  /// Somebody else bound it (InheritedSockets.swift).
  package let isInherited: Bool
  /// Another descriptor stands for the same socket (`sibling`), or may.
  package var isShared: Bool {
    if case .unix = address { true } else { isInherited }
  }

  init(descriptor: Int32, address: ListenAddress, options: ListenOptions = ListenOptions(), isInherited: Bool = false) {
    self.descriptor = descriptor
    self.address = address
    self.options = options
    self.isInherited = isInherited
  }

  /// Opens and binds. A `unix:` socket listens at once, so that no other process takes it for a stale one; a TCP socket
  /// listens when a server accepts on it, so that a new process can leave all connections to an old one until it is
  /// ready to answer them.
  ///
  /// TCP sockets get TCP_NODELAY, which accepted connections inherit, and SO_REUSEPORT where `sharesPort` says so: then each
  /// event loop has its own, and a new process can start beside an old one. A `unix:` socket takes the place of one that nobody listens
  /// on any more; a living one, or a file of another kind, stays and is an error.
  /// - Throws: `SystemError` that names the step and the address.
  public static func open(
    _ address: ListenAddress, _ options: ListenOptions = ListenOptions()
  ) throws(SystemError) -> ListenSocket {
    switch address {
    case .tcp(let host, let port): try openTCP(host, port, options)
    case .unix(let path): try openUnix(path, options)
    }
  }

  /// Whether anybody listens at a TCP address, or at a wildcard of its port: then binding there without SO_REUSEPORT fails.
  /// A process that is bound and does not listen yet is not seen. Always false for a `unix:` path.
  public static func isListenedAt(_ address: ListenAddress, _ options: ListenOptions) -> Bool {
    guard case .tcp(let host, let port) = address, port != 0 else { return false }
    var options = options
    options.sharesPort = false
    do throws(SystemError) {
      close(try openTCP(host, port, options).descriptor)
      return false
    } catch {
      return error.code == EADDRINUSE
    }
  }

  /// Another socket for the same address, for another loop: bound beside this one, or, where that cannot be (`unix:`
  /// has no SO_REUSEPORT, and an inherited one is not ours to bind), the same socket under another descriptor.
  public func sibling() throws(SystemError) -> ListenSocket {
    if case .tcp = address, !isInherited { return try .open(address, options) }
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw SystemError("dup \(address)") }
    return ListenSocket(descriptor: copy, address: address, options: options, isInherited: isInherited)
  }

  /// From here on the kernel takes connections in, if it did not already, with small buffers: left to itself it lets
  /// those of a client that reads no replies grow to megabytes, and a few dozen of them use up the memory that the
  /// whole machine has for TCP.
  package func startListening() throws(SystemError) {
    for option in [SO_SNDBUF, SO_RCVBUF] {
      var size = Self.bufferSize
      _ = unsafe setsockopt(descriptor, SOL_SOCKET, option, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    guard case .tcp = address, !isInherited else { return }
    guard Glibc.listen(descriptor, Self.backlog) == 0 else { throw SystemError("listen \(address)") }
  }

  private static func openTCP(
    _ host: String, _ port: UInt16, _ options: ListenOptions
  ) throws(SystemError) -> ListenSocket {
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
      var switches: [(Int32, Int32, Int32)] = [
        (SOL_SOCKET, SO_REUSEADDR, 1), (Int32(IPPROTO_TCP), TCP_NODELAY, 1),
      ]
      if options.sharesPort { switches.append((SOL_SOCKET, SO_REUSEPORT, 1)) }
      if unsafe info.pointee.ai_family == AF_INET6 {
        switches.append((Int32(IPPROTO_IPV6), IPV6_V6ONLY, host == "::" && options.takesBothFamilies ? 0 : 1))
      }
      for (level, option, value) in switches {
        var value = value
        guard unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
          throw SystemError("setsockopt \(name)")
        }
      }
      let bindAddress = unsafe __CONST_SOCKADDR_ARG(__sockaddr__: info.pointee.ai_addr)
      guard unsafe bind(descriptor, bindAddress, info.pointee.ai_addrlen) == 0 else {
        throw SystemError("bind \(name)")
      }
      let address = ListenAddress.tcp(host: host, port: try boundPort(descriptor))
      return ListenSocket(descriptor: descriptor, address: address, options: options)
    } catch {
      close(descriptor)
      throw error
    }
  }

  static func newSocket(_ family: Int32) throws(SystemError) -> Int32 {
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

  /// Bytes; the kernel doubles it for its own needs. Several heads and hundreds of replies fit.
  private static let bufferSize: Int32 = 65_536

  /// More than any proxy opens at once; the kernel cuts it to net.core.somaxconn.
  static let backlog: Int32 = 4096
}
