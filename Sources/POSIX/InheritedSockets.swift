// Listening sockets that somebody else has bound and handed over at exec: systemd's socket activation, sd_listen_fds(3).
// The environment is a parameter. Nothing is accepted here.

import Glibc

/// A listening socket that was handed over.
public struct InheritedSocket: Sendable {
  /// Its `FileDescriptorName=`; `unknown` where none was told.
  public let name: String
  public let socket: ListenSocket
}

extension ListenSocket {
  /// The sockets that the environment hands over: `LISTEN_FDS` of them from descriptor 3 on, named by
  /// `LISTEN_FDNAMES`. None where `LISTEN_PID` is another process: the variables were meant for a parent.
  ///
  /// Call once, before descriptors are opened that a wrong count could be mistaken for. They become close-on-exec and
  /// non-blocking.
  /// - Throws: `SystemError` when a count is no number, or a descriptor is no listening stream socket.
  public static func inherited(environment: [String: String]) throws(SystemError) -> [InheritedSocket] {
    guard let text = environment["LISTEN_FDS"], environment["LISTEN_PID"] == String(getpid()) else { return [] }
    guard let count = Int32(text), (0...1024).contains(count) else {
      throw SystemError("LISTEN_FDS: '\(text)' is no number of sockets", code: 0)
    }
    let names = environment["LISTEN_FDNAMES"]?.split(separator: ":", omittingEmptySubsequences: false) ?? []
    var sockets: [InheritedSocket] = []
    for index in 0..<Int(count) {
      let name = index < names.count ? String(names[index]) : "unknown"
      sockets.append(InheritedSocket(name: name, socket: try adopt(3 + Int32(index), name)))
    }
    return sockets
  }

  private static func adopt(_ descriptor: Int32, _ name: String) throws(SystemError) -> ListenSocket {
    let what = "inherited socket \(descriptor) (\(name))"
    for option in [SO_TYPE, SO_ACCEPTCONN] {
      var value: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      guard unsafe getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 else { throw SystemError(what) }
      guard value == (option == SO_TYPE ? Int32(SOCK_STREAM.rawValue) : 1) else {
        throw SystemError("\(what) is no listening stream socket", code: 0)
      }
    }
    let flags = fcntl(descriptor, F_GETFL)
    guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, flags >= 0,
      fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0
    else { throw SystemError(what) }
    let address = try boundAddress(descriptor, what)
    if case .tcp = address {
      var on: Int32 = 1
      _ = unsafe setsockopt(
        descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }
    return ListenSocket(descriptor: descriptor, address: address, isInherited: true)
  }

  private static func boundAddress(_ descriptor: Int32, _ what: String) throws(SystemError) -> ListenAddress {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
    let address: ListenAddress? = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> ListenAddress? in
        guard unsafe getsockname(descriptor, __SOCKADDR_ARG(__sockaddr__: generic), &size) == 0 else { return nil }
        if unsafe generic.pointee.sa_family == sa_family_t(AF_UNIX) {
          let path = unsafe pointer.withMemoryRebound(to: sockaddr_un.self, capacity: 1) { unix in
            unsafe withUnsafeBytes(of: &unix.pointee.sun_path) { bytes in
              unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
          }
          return .unix(path: path)
        }
        let code = unsafe getnameinfo(
          generic, size, &host, socklen_t(host.count), &port,
          socklen_t(port.count), NI_NUMERICHOST | NI_NUMERICSERV)
        let text = { (bytes: [CChar]) in
          String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        guard code == 0, let number = UInt16(text(port)) else { return nil }
        return .tcp(host: text(host), port: number)
      }
    }
    guard let address else { throw SystemError(what) }
    return address
  }
}
