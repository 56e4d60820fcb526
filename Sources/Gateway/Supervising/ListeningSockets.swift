// Which sockets the gateway listens on: those of the settings, or those that systemd handed over. Opened here, accepted
// on elsewhere.

import EventLoops
import Glibc
import HTTPFetch
import HTTPServing
import POSIX
import Settings

/// The gateway's listening sockets, and the admin's.
struct ListeningSockets {
  /// For each address a socket for each loop: bound side by side (SO_REUSEPORT), or the same one under another
  /// descriptor (`unix:`, inherited).
  let serving: [[ListenSocket]]
  private var admin: ListenSocket?

  var addresses: [ListenAddress] { serving.map { $0[0].address } }

  /// - Parameter inherited: replaces what the settings name: the socket called `admin` for `admin`, all others together
  ///   for `listen`.
  init(_ settings: GatewaySettings, inherited: [InheritedSocket]) throws(SystemError) {
    var options = ListenOptions()
    options.mode = settings.socketMode
    options.user = try settings.socketOwner?.user.map { name throws(SystemError) in try userID(name) }
    options.group = try settings.socketOwner?.group.map { name throws(SystemError) in try groupID(name) }
    let all = settings.listen + (settings.admin.map { [$0] } ?? [])

    var first: [ListenSocket] = []
    for given in inherited where given.name != "admin" { first.append(given.socket) }
    if first.isEmpty {
      for address in settings.listen { first.append(try .open(address, options, beside: all)) }
    }
    var serving: [[ListenSocket]] = []
    for socket in first {
      var row = [socket]
      // Port 0 was the kernel's choice for the first; the others join it there.
      while row.count < settings.eventLoops { row.append(try socket.sibling()) }
      serving.append(row)
    }
    self.serving = serving

    if let given = inherited.first(where: { $0.name == "admin" }) {
      admin = given.socket
    } else if let address = settings.admin {
      admin = try .open(address, options, beside: all)
    }
  }

  /// The admin's socket, once; nil where there is none.
  mutating func takeAdmin() -> ListenSocket? {
    defer { admin = nil }
    return admin
  }
}

extension ListenSocket {
  /// - Parameter all: every address that the process listens at. `[::]` takes IPv4 too, unless one of them names its
  ///   port for IPv4: that one shall have it.
  fileprivate static func open(
    _ address: NetworkAddress, _ options: ListenOptions, beside all: [NetworkAddress]
  ) throws(SystemError) -> ListenSocket {
    var options = options
    if case .tcp("::", let port) = address {
      options.takesBothFamilies = !all.contains {
        if case .tcp(let host, port) = $0 { !host.utf8.contains(UInt8(ascii: ":")) } else { false }
      }
    }
    return try open(ListenAddress(address), options)
  }
}

extension ListenAddress {
  init(_ address: NetworkAddress) {
    switch address {
    case .tcp(let host, let port): self = .tcp(host: host, port: port)
    case .unix(let path): self = .unix(path: path)
    }
  }
}

/// Before any other thread asks the system's databases, which share one buffer.
private func userID(_ name: String) throws(SystemError) -> UInt32 {
  if let number = UInt32(name) { return number }
  guard let entry = unsafe getpwnam(name) else { throw SystemError("socket_owner: there is no user \(name)", code: 0) }
  return unsafe entry.pointee.pw_uid
}

private func groupID(_ name: String) throws(SystemError) -> UInt32 {
  if let number = UInt32(name) { return number }
  guard let entry = unsafe getgrnam(name) else { throw SystemError("socket_owner: there is no group \(name)", code: 0) }
  return unsafe entry.pointee.gr_gid
}
