// Which sockets the gateway listens on: those of the settings, or those that systemd handed over. Opened here, accepted
// on elsewhere.

import EventLoops
import Glibc
import HTTPFetch
import HTTPServing
import POSIX
import Settings
import Telemetry

/// The gateway's listening sockets, and the admin's.
struct ListeningSockets {
  /// For each address a socket for each loop: bound side by side (SO_REUSEPORT), or the same one under another
  /// descriptor (`unix:`, inherited).
  let serving: [[ListenSocket]]
  /// Beside `serving`: whether connections to the address begin with a TLS handshake.
  let isSecure: [Bool]
  private var admin: ListenSocket?

  var addresses: [ListenAddress] { serving.map { $0[0].address } }

  /// As the settings write them, with the ports that the kernel chose.
  var texts: [String] { zip(addresses, isSecure).map { $1 ? "tls://\($0)" : $0.description } }

  /// - Parameters:
  ///   - options: of the settings.
  ///   - inherited: replaces what the settings name: the socket called `admin` for `admin`, all others together for
  ///     `listen`, those called `tls` as `tls://` addresses.
  ///   - log: told where another process listens already, and the settings allow that; nil: nobody is.
  init(
    _ settings: GatewaySettings, _ options: ListenOptions, inherited: [InheritedSocket], _ log: Log?
  ) throws(SystemError) {
    let all = settings.listen + (settings.admin.map { [$0] } ?? [])

    var first: [ListenSocket] = []
    var isSecure: [Bool] = []
    for given in inherited where given.name != "admin" {
      first.append(given.socket)
      isSecure.append(given.name == "tls")
    }
    if isSecure.contains(true), settings.tlsCertificate == nil {
      throw SystemError("the socket called tls, from the service manager, needs tls_cert and tls_key", code: 0)
    }
    if first.isEmpty {
      for address in settings.listen {
        let options = options.for(address, beside: all)
        if ListenSocket.isListenedAt(ListenAddress(address), options) {
          try Self.report(address, settings.listenShared, log)
        }
        var shared = options
        shared.sharesPort = true
        first.append(try .open(ListenAddress(address), shared))
        if case .tls = address { isSecure.append(true) } else { isSecure.append(false) }
      }
    }
    var serving: [[ListenSocket]] = []
    for socket in first {
      var row = [socket]
      // Port 0 was the kernel's choice for the first; the others join it there.
      while row.count < settings.eventLoops { row.append(try socket.sibling()) }
      serving.append(row)
    }
    self.serving = serving
    self.isSecure = isSecure

    if let given = inherited.first(where: { $0.name == "admin" }) {
      admin = given.socket
    } else if let address = settings.admin {
      admin = try .open(ListenAddress(address), options.for(address, beside: all))
    }
  }

  /// Beside an old process a new one is an upgrade; beside any other, each gets some of the connections, at random.
  private static func report(
    _ address: NetworkAddress, _ setting: SharedListening, _ log: Log?
  ) throws(SystemError) {
    switch setting {
    case .refuse: throw SystemError("listen \(address): another process listens there (listen_shared)", code: 0)
    case .warn:
      log?.warning(
        "listen_shared", ("listen", .string(address.description)),
        ("note", "another process listens here too and takes a part of the connections: an upgrade, or a mistake"))
    }
  }

  /// The admin's socket, once; nil where there is none.
  mutating func takeAdmin() -> ListenSocket? {
    defer { admin = nil }
    return admin
  }
}

extension ListenOptions {
  /// The options of the settings; those of TCP sockets hang on their addresses as well (`for`).
  ///
  /// Call before any other thread asks the system's databases of users and groups, which share one buffer.
  /// - Throws: `SettingsError` when there is no such user or group.
  init(_ settings: GatewaySettings) throws(SettingsError) {
    self.init()
    mode = settings.socketMode
    guard let owner = settings.socketOwner else { return }
    if let name = owner.user {
      guard let id = userID(name) else { throw Self.unknown("user", name, owner) }
      user = id
    }
    if let name = owner.group {
      guard let id = groupID(name) else { throw Self.unknown("group", name, owner) }
      group = id
    }
  }

  private static func unknown(_ what: String, _ name: String, _ owner: SocketOwner) -> SettingsError {
    SettingsError(
      source: SettingsTable.all.socketOwner.name, value: owner.description,
      allowed: "a user and group of this system, by name or number; there is no \(what) \(name)")
  }

  /// - Parameter all: every address that the process listens at. `[::]` takes IPv4 too, unless one of them names its
  ///   port for IPv4: that one shall have it.
  fileprivate func `for`(_ address: NetworkAddress, beside all: [NetworkAddress]) -> ListenOptions {
    var options = self
    guard case .tcp("::", let port) = ListenAddress(address) else { return options }
    options.takesBothFamilies = !all.contains {
      if case .tcp(let host, port) = ListenAddress($0) { !host.utf8.contains(UInt8(ascii: ":")) } else { false }
    }
    return options
  }
}

extension ListenAddress {
  init(_ address: NetworkAddress) {
    switch address {
    case .tcp(let host, let port), .tls(let host, let port): self = .tcp(host: host, port: port)
    case .unix(let path): self = .unix(path: path)
    }
  }
}

private func userID(_ name: String) -> UInt32? {
  if let number = UInt32(name) { return number }
  return unsafe getpwnam(name)?.pointee.pw_uid
}

private func groupID(_ name: String) -> UInt32? {
  if let number = UInt32(name) { return number }
  return unsafe getgrnam(name)?.pointee.gr_gid
}
