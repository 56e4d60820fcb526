// Listening sockets: an address in words becomes a bound, listening, non-blocking descriptor. Nothing is accepted here.

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

/// How a listening socket is made.
public struct ListenOptions: Equatable, Sendable {
  /// `[::]` takes IPv4 too (IPV6_V6ONLY off, whatever the system's default is).
  public var takesBothFamilies = true
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
  private let isInherited: Bool

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
  /// TCP sockets get SO_REUSEPORT, so that each event loop has its own and a new process can start beside an old one,
  /// and TCP_NODELAY, which accepted connections inherit. A `unix:` socket takes the place of one that nobody listens
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
        (SOL_SOCKET, SO_REUSEADDR, 1), (SOL_SOCKET, SO_REUSEPORT, 1), (Int32(IPPROTO_TCP), TCP_NODELAY, 1),
      ]
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

  private static func openUnix(_ path: String, _ options: ListenOptions) throws(SystemError) -> ListenSocket {
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
    // The file is born with its mode, so that there is no moment in which it is wider. Nobody can connect before
    // listen(2), so not before it has its owner either. Other threads make no files while the program starts.
    let before = umask(~options.mode & 0o777)
    let bound = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        let bindAddress = unsafe __CONST_SOCKADDR_ARG(__sockaddr__: generic)
        if unsafe bind(descriptor, bindAddress, size) == 0 { return true }
        guard errno == EADDRINUSE, unsafe isStale(path, generic, size) else {
          errno = EADDRINUSE
          return false
        }
        _ = unsafe unlink(path)
        return unsafe bind(descriptor, bindAddress, size) == 0
      }
    }
    let bindError = errno
    umask(before)
    do throws(SystemError) {
      guard bound else { throw SystemError("bind \(name)", code: bindError) }
      if options.user != nil || options.group != nil {
        guard unsafe lchown(path, options.user ?? uid_t.max, options.group ?? gid_t.max) == 0 else {
          let error = SystemError("chown \(name)")
          _ = unsafe unlink(path)
          throw error
        }
      }
      guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemError("listen \(name)") }
    } catch {
      close(descriptor)
      throw error
    }
    return ListenSocket(descriptor: descriptor, address: .unix(path: path), options: options)
  }

  /// A socket file that nobody listens on any more: left by a process that died. A living one is never taken over, nor
  /// is a file of another kind: connecting to one is refused in the same words.
  private static func isStale(_ path: String, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Bool {
    var status = stat()
    guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
    // Non-blocking: at one that lives and has a full queue, connecting would wait.
    guard let probe = try? newSocket(AF_UNIX) else { return false }
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

  /// Bytes; the kernel doubles it for its own needs. Several heads and hundreds of replies fit.
  private static let bufferSize: Int32 = 65_536

  /// More than any proxy opens at once; the kernel cuts it to net.core.somaxconn.
  private static let backlog: Int32 = 4096
}
