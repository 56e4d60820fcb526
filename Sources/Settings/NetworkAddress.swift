// Addresses to listen at: `host:port`, `[v6]:port`, `unix:/path`. Text only: nothing is resolved or bound here.

/// An address to listen at.
public enum NetworkAddress: Equatable, Hashable, Sendable, CustomStringConvertible {
  /// A numeric IPv4 or IPv6 address in canonical text (RFC 5952), without brackets; port 0 means any free one.
  case tcp(host: String, port: UInt16)
  /// An absolute path, 2 to 107 bytes (`sun_path` holds 108 with its NUL).
  case unix(path: String)

  /// Bytes of a path: what `sun_path` holds beside its NUL (unix(7)).
  static let longestPath = 107

  /// Reads `a.b.c.d:port`, `[v6]:port`, `localhost:port` (which is 127.0.0.1) or `unix:/path`; nil if it is none.
  public init?(_ text: String) {
    if text.hasPrefix("unix:") {
      guard let path = try? absolutePath(String(text.dropFirst(5)), limit: Self.longestPath), !path.hasSuffix("/")
      else {
        return nil
      }
      self = .unix(path: path)
      return
    }
    guard let colon = text.lastIndex(of: ":"),
      let port = try? wholeNumber(String(text[text.index(after: colon)...]), in: 0...65_535)
    else { return nil }
    let host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]"), host.utf8.count >= 2 {
      guard let groups = ipv6Groups(host.dropFirst().dropLast()) else { return nil }
      self = .tcp(host: ipv6Text(groups), port: UInt16(port))
    } else if host == "localhost" {
      self = .tcp(host: "127.0.0.1", port: UInt16(port))
    } else {
      guard ipv4Bytes(host) != nil else { return nil }
      self = .tcp(host: String(host), port: UInt16(port))
    }
  }

  public var description: String {
    switch self {
    case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// Whether only this machine reaches it: 127.0.0.0/8, `::1`, a path.
  public var isLoopback: Bool {
    switch self {
    case .tcp(let host, _): host == "::1" || ipv4Bytes(host)?.first == 127
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

/// The four bytes of a strict dotted quad (no leading zeros, no short forms), or nil.
func ipv4Bytes(_ text: some StringProtocol) -> [Int]? {
  let parts = text.split(separator: ".", omittingEmptySubsequences: false)
  guard parts.count == 4 else { return nil }
  var bytes: [Int] = []
  for part in parts {
    guard let byte = try? wholeNumber(String(part), in: 0...255) else { return nil }
    bytes.append(byte)
  }
  return bytes
}

/// The eight groups of an IPv6 address (RFC 4291 section 2.2, dotted tail included, no zone), or nil.
func ipv6Groups(_ text: some StringProtocol) -> [Int]? {
  /// The groups of one side of `::`; a dotted quad may stand last.
  func groups(_ side: some StringProtocol, mayEndDotted: Bool) -> [Int]? {
    if side.isEmpty { return [] }
    var found: [Int] = []
    let parts = side.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if mayEndDotted, index == parts.count - 1, let quad = ipv4Bytes(part) {
        found += [quad[0] << 8 | quad[1], quad[2] << 8 | quad[3]]
      } else {
        guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexDigit), let group = Int(part, radix: 16)
        else { return nil }
        found.append(group)
      }
    }
    return found
  }
  let bytes = Array(text.utf8)
  let colon = UInt8(ascii: ":")
  guard let gap = bytes.indices.dropLast().first(where: { bytes[$0] == colon && bytes[$0 + 1] == colon }) else {
    guard let all = groups(text, mayEndDotted: true), all.count == 8 else { return nil }
    return all
  }
  guard let left = groups(String(decoding: bytes[..<gap], as: UTF8.self), mayEndDotted: false),
    let right = groups(String(decoding: bytes[(gap + 2)...], as: UTF8.self), mayEndDotted: true),
    left.count + right.count <= 7
  else { return nil }
  return left + Array(repeating: 0, count: 8 - left.count - right.count) + right
}

/// RFC 5952 text: lower case, the longest run of two or more zero groups (the first of equals) as `::`.
func ipv6Text(_ groups: [Int]) -> String {
  var best = 0..<0
  var start = 0
  while start < groups.count {
    var end = start
    while end < groups.count, groups[end] == 0 { end += 1 }
    if end - start > best.count { best = start..<end }
    start = max(end, start + 1)
  }
  func join(_ part: ArraySlice<Int>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
  guard best.count >= 2 else { return join(groups[...]) }
  return join(groups[..<best.lowerBound]) + "::" + join(groups[best.upperBound...])
}
