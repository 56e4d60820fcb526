// Host names to addresses by getaddrinfo on a thread of its own: the system's resolver with all its sources (and not
// evdns), never on a loop.

import CEvent
import EventLoops
import Glibc
import POSIX

enum Resolver {
  /// Looks a host up; `answer` gets its addresses in the resolver's order, on the resolver's thread.
  static func resolve(
    _ host: String, port: UInt16, _ answer: @escaping @Sendable (Result<[SocketAddress], FetchFailure>) -> Void
  ) {
    do {
      try LoopThread.start("resolver") { answer(lookUp(host, port)) }
    } catch {
      answer(.failure(.resolve(error.description)))
    }
  }

  private static func lookUp(_ host: String, _ port: UInt16) -> Result<[SocketAddress], FetchFailure> {
    if host.hasPrefix("unix:") { return unixAddress(host.dropFirst(5)) }
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG
    // A literal address must resolve whatever interfaces are up.
    var any = in6_addr()
    if unsafe inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1 {
      unsafe hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST
    }
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &found)
    guard code == 0 else {
      return .failure(.resolve("\(host): \(unsafe String(cString: gai_strerror(code)))"))
    }
    defer { unsafe freeaddrinfo(found) }
    var addresses: [SocketAddress] = []
    var next = unsafe found
    while let entry = unsafe next {
      let bytes = unsafe UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(entry.pointee.ai_addrlen))
      addresses.append(SocketAddress(bytes: unsafe Array(bytes)))
      unsafe next = unsafe entry.pointee.ai_next
    }
    return addresses.isEmpty ? .failure(.resolve("\(host) has no address")) : .success(addresses)
  }

  private static func unixAddress(_ path: Substring) -> Result<[SocketAddress], FetchFailure> {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    // Bounded by the field's own size, less one for the NUL that is there already.
    let fits = unsafe withUnsafeMutableBytes(of: &name.sun_path) { field in
      guard bytes.count < field.count else { return false }
      unsafe field.copyBytes(from: bytes)
      return true
    }
    guard fits else { return .failure(.resolve("\(path) is too long for a socket")) }
    return .success([SocketAddress(bytes: unsafe withUnsafeBytes(of: &name) { unsafe Array($0) })])
  }
}
