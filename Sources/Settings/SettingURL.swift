// URLs in settings: the issuer's, and where its keys are. A strict subset of RFC 3986, so that every reader behind us
// (resolver, TLS host check, request line) sees the same host and path. Nothing is fetched here.

/// A strict http or https URL, taken apart.
public struct WebURL: Equatable, Sendable, CustomStringConvertible {
  /// https, that is TLS; http only to a loopback host, unless `allow_http_keys` is on.
  public let isSecure: Bool
  /// A DNS name, an IPv4 address, or an IPv6 address without brackets; as given, not lowercased.
  public let host: String
  /// 443 and 80 where none is written.
  public let port: UInt16
  /// Path and query for a request line; starts with `/`.
  public let target: String
  /// The URL as given.
  public let description: String

  /// Reads `scheme://host[:port][/path][?query]`. No user information, no fragment, no empty port, at most 1,024 bytes.
  ///
  /// http is taken only for 127.0.0.0/8, `::1` and `localhost`: over a network it would let anyone on the way choose
  /// the keys that we trust. With `allowingHTTP` it is taken for any host; whether it may be used is then the caller's.
  init?(_ text: String, allowingHTTP: Bool = false) {
    guard text.utf8.count <= 1024, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
    let rest: Substring
    if text.hasPrefix("https://") {
      isSecure = true
      rest = text.dropFirst(8)
    } else if text.hasPrefix("http://") {
      isSecure = false
      rest = text.dropFirst(7)
    } else {
      return nil
    }
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    guard let (host, port) = splitAuthority(rest[..<end]) else { return nil }
    guard isSecure || allowingHTTP || isLoopback(host) else { return nil }
    let path = rest[end...]
    guard isPathAndQuery(path) else { return nil }
    self.host = host
    self.port = port ?? (isSecure ? 443 : 80)
    self.target = path.hasPrefix("/") ? String(path) : "/" + path
    self.description = text
  }

  /// Whether anybody on the way could change what comes: http, and not on this machine.
  public var isExposed: Bool { !isSecure && !isLoopback(host) }
}

/// Where the key set comes from.
public enum KeysLocation: Equatable, Sendable, CustomStringConvertible {
  case web(WebURL)
  /// A fixed set in a file, by absolute path.
  case file(path: String)

  /// Reads an https URL, an http URL to a loopback host, `file:/path` or `file:///path` (no `%`, `?`, `#` in it).
  public init?(_ text: String) { self.init(text, allowingHTTP: false) }

  /// As ``init(_:)``, with http to any host where `allowingHTTP` is true.
  init?(_ text: String, allowingHTTP: Bool) {
    if text.hasPrefix("file:") {
      var path = text.dropFirst(5)
      if path.hasPrefix("//") { path = path.dropFirst(2) }
      guard let absolute = try? absolutePath(String(path), limit: 1024), !absolute.hasPrefix("//"),
        !absolute.hasSuffix("/"), !absolute.contains(where: { $0 == "%" || $0 == "?" || $0 == "#" })
      else { return nil }
      self = .file(path: absolute)
    } else {
      guard let url = WebURL(text, allowingHTTP: allowingHTTP) else { return nil }
      self = .web(url)
    }
  }

  public var description: String {
    switch self {
    case .web(let url): url.description
    case .file(let path): "file:\(path)"
    }
  }
}

/// Host and port of an authority without user information; nil if it is malformed.
func splitAuthority(_ authority: Substring) -> (host: String, port: UInt16?)? {
  var host = authority
  var port: UInt16?
  if let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") {
    guard let number = try? wholeNumber(String(authority[authority.index(after: colon)...]), in: 1...65_535) else {
      return nil
    }
    port = UInt16(number)
    host = authority[..<colon]
  }
  if host.hasPrefix("[") {
    guard host.hasSuffix("]"), ipv6Bytes(host.dropFirst().dropLast()) != nil else { return nil }
    return (String(host.dropFirst().dropLast()), port)
  }
  return isHostName(host) ? (String(host), port) : nil
}

/// A DNS name of letters, digits, `-` and `_`, or a strict IPv4 address.
///
/// A last label of digits alone means an IPv4 address (WHATWG URL, "ends in a number"): `127.1` and `0x7f.1` would be
/// loopback to some resolvers and a name to others.
private func isHostName(_ host: Substring) -> Bool {
  if ipv4Bytes(host) != nil { return true }
  guard (1...253).contains(host.utf8.count) else { return false }
  let labels = host.split(separator: ".", omittingEmptySubsequences: false)
  let allowed = labels.allSatisfy { label in
    (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
      && label.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
  }
  guard allowed, let last = labels.last else { return false }
  let hexNumber = last.lowercased().hasPrefix("0x") && last.utf8.dropFirst(2).allSatisfy(isHexDigit)
  return !last.utf8.allSatisfy(isDigit) && !hexNumber
}

/// 127.0.0.0/8, `::1`, `localhost`.
func isLoopback(_ host: String) -> Bool {
  if let quad = ipv4Bytes(host) { return quad[0] == 127 }
  if let bytes = ipv6Bytes(host) { return bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1 }
  return host.lowercased() == "localhost"
}

/// pchar, `/` and `?` of RFC 3986, with whole `%XX`; a `#` or anything else refuses.
private func isPathAndQuery(_ text: Substring) -> Bool {
  let bytes = Array(text.utf8)
  let marks = Set("-._~!$&'()*+,;=:@/?".utf8)
  for (index, byte) in bytes.enumerated() {
    if byte == UInt8(ascii: "%") {
      guard index + 2 < bytes.count, isHexDigit(bytes[index + 1]), isHexDigit(bytes[index + 2]) else { return false }
    } else if !isLetter(byte), !isDigit(byte), !marks.contains(byte) {
      return false
    }
  }
  return true
}

/// An issuer: an http or https URL with no query. The text is kept as it is, with or without a slash at its end, since
/// `iss` must equal it byte for byte. Whether http is allowed is told when all settings are read.
func issuerText(_ text: String) throws(SettingRefusal) -> String {
  guard WebURL(text, allowingHTTP: true) != nil, !text.contains("?") else { throw SettingRefusal() }
  return text
}

/// The host of a team: `acme`, `acme.cloudflareaccess.com` or `acme.fed.cloudflareaccess.com`, in any case, with `https://`
/// before it or a slash behind it, as people copy it out of a browser or a dashboard.
func teamHost(_ text: String) throws(SettingRefusal) -> String {
  // ASCII alone: the Kelvin sign is a `k` in lower case.
  guard text.utf8.allSatisfy({ $0 < 0x80 }) else { throw SettingRefusal() }
  var name = text.lowercased()
  if name.hasPrefix("https://") { name = String(name.dropFirst(8)) }
  if name.hasSuffix("/") { name = String(name.dropLast()) }
  if let slash = name.firstIndex(of: "/"), let host = try? teamHost(String(name[..<slash])) {
    throw SettingRefusal(instead: "the host alone: \(host)")
  }
  var suffix = ".cloudflareaccess.com"
  for known in [".fed.cloudflareaccess.com", ".cloudflareaccess.com"] where name.hasSuffix(known) {
    suffix = known
    name = String(name.dropLast(known.count))
    break
  }
  guard (1...63).contains(name.utf8.count), !name.hasPrefix("-"), !name.hasSuffix("-"),
    name.utf8.allSatisfy({ isDigit($0) || $0 == UInt8(ascii: "-") || isLetter($0) })
  else { throw SettingRefusal() }
  return name + suffix
}
