// Addresses to listen at: `host:port`, `[v6]:port`, `unix:/path`. Text only: nothing is resolved or bound here.

/// An address to listen at.
public enum NetworkAddress: Equatable, Hashable, Sendable, CustomStringConvertible {
  /// A numeric IPv4 or IPv6 address in canonical text (RFC 5952), without brackets; port 0 means any free one.
  case tcp(host: String, port: UInt16)
  /// The same, for connections that begin with a TLS handshake.
  case tls(host: String, port: UInt16)
  /// An absolute path, 2 to 107 bytes (`sun_path` holds 108 with its NUL).
  case unix(path: String)

  /// Bytes of a path: what `sun_path` holds beside its NUL (unix(7)).
  static let longestPath = 107

  /// Reads an address as `init(reading:)` does; nil if it is none.
  public init?(_ text: String) {
    guard let address = try? NetworkAddress(reading: text) else { return nil }
    self = address
  }

  /// Reads `a.b.c.d:port`, `[v6]:port`, `localhost:port` (which is 127.0.0.1), `:port` and `*:port` (which are 0.0.0.0), each with
  /// `tls://` before it or not, or `unix:/path`.
  init(reading text: String) throws(SettingRefusal) {
    if text.hasPrefix("unix:") {
      let path = String(text.dropFirst(5))
      guard path.utf8.count <= Self.longestPath else {
        throw SettingRefusal(
          instead: "unix: and a path of at most \(Self.longestPath) bytes; this one has \(path.utf8.count)")
      }
      guard !path.hasSuffix("/") else { throw SettingRefusal() }
      self = .unix(path: try absolutePath(path, limit: Self.longestPath))
      return
    }
    if text.hasPrefix("tls://") {
      guard case .tcp(let host, let port) = try NetworkAddress(reading: String(text.dropFirst(6))) else {
        throw SettingRefusal()
      }
      self = .tls(host: host, port: port)
      return
    }
    guard let colon = text.lastIndex(of: ":") else {
      let isPort = (try? wholeNumber(text, in: 0...65_535)) != nil
      throw SettingRefusal(instead: isPort ? "host:port, such as 0.0.0.0:\(text) or 127.0.0.1:\(text)" : nil)
    }
    let port = UInt16(try wholeNumber(String(text[text.index(after: colon)...]), in: 0...65_535))
    let host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]"), host.utf8.count >= 2 {
      guard let bytes = ipv6Bytes(host.dropFirst().dropLast()) else { throw SettingRefusal() }
      self = .tcp(host: ipv6Text(bytes), port: port)
    } else if host == "localhost" {
      self = .tcp(host: "127.0.0.1", port: port)
    } else if host.isEmpty || host == "*" {
      self = .tcp(host: "0.0.0.0", port: port)
    } else {
      guard ipv4Bytes(host) != nil else { throw SettingRefusal() }
      self = .tcp(host: String(host), port: port)
    }
  }

  public var description: String {
    switch self {
    case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .tls(let host, let port): "tls://\(NetworkAddress.tcp(host: host, port: port))"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether only this machine reaches it: 127.0.0.0/8, `::1`, a path.
  public var isLoopback: Bool {
    switch self {
    case .tcp(let host, _), .tls(let host, _): host == "::1" || ipv4Bytes(host)?.first == 127
    case .unix: true
    }
  }

  /// Whether the two cannot both be bound: equal, or one port under an address and under its family's wildcard.
  ///
  /// With SO_REUSEPORT such a pair binds without an error, and the more specific one silently takes the other's
  /// requests: the admin pages would answer auth questions. Port 0 collides with nothing.
  func collides(with other: NetworkAddress) -> Bool {
    switch (self, other) {
    case (.unix(let path), .unix(let otherPath)):
      return path == otherPath
    case (.tls(let host, let port), _):
      return NetworkAddress.tcp(host: host, port: port).collides(with: other)
    case (.tcp, .tls(let host, let port)):
      return collides(with: .tcp(host: host, port: port))
    case (.tcp(let host, let port), .tcp(let otherHost, let otherPort)):
      guard port == otherPort, port != 0 else { return false }
      let sameFamily = host.utf8.contains(UInt8(ascii: ":")) == otherHost.utf8.contains(UInt8(ascii: ":"))
      let wildcards: Set<String> = ["0.0.0.0", "::"]
      return host == otherHost || sameFamily && (wildcards.contains(host) || wildcards.contains(otherHost))
    default:
      return false
    }
  }
}
