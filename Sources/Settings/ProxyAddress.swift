// The proxy between us and the keys: HTTPS_PROXY and NO_PROXY as other programs read them. Pure; nothing is connected.

/// An HTTP proxy that opens tunnels (CONNECT, RFC 9110 section 9.3.6). `description` holds no password.
public struct ProxyAddress: Equatable, Sendable, CustomStringConvertible {
  /// A name or a numeric address without brackets.
  public let host: String
  public let port: UInt16
  /// `user:password` as bytes, for Basic (RFC 7617); nil: the proxy asks nobody who they are. A secret.
  public let credentials: [UInt8]?

  public var description: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
  }

  /// Reads `[http://][user[:password]@]host[:port]` with at most a slash behind it; port 80 where none is written.
  ///
  /// User and password may hold `%XX` for any byte.
  init?(_ text: some StringProtocol) {
    var authority = Substring(text)
    if authority.prefix(7).lowercased() == "http://" { authority = authority.dropFirst(7) }
    if authority.hasSuffix("/") { authority = authority.dropLast() }
    var credentials: [UInt8]?
    if let at = authority.lastIndex(of: "@") {
      guard let decoded = Self.credentials(authority[..<at]) else { return nil }
      credentials = decoded
      authority = authority[authority.index(after: at)...]
    }
    guard let (host, port) = splitAuthority(authority) else { return nil }
    self.host = host
    self.port = port ?? 80
    self.credentials = credentials
  }

  /// `user:password` as bytes; nil where an escape is not whole, a byte is a control, or there is no user.
  private static func credentials(_ text: Substring) -> [UInt8]? {
    let colon = text.firstIndex(of: ":") ?? text.endIndex
    // A colon in the user would end it (RFC 7617 section 2).
    guard let user = unescaped(text[..<colon]), !user.isEmpty, !user.contains(UInt8(ascii: ":")),
      let password = unescaped(text[colon...].dropFirst())
    else { return nil }
    return user + [UInt8(ascii: ":")] + password
  }

  private static func unescaped(_ text: Substring) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while var byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard rest.count >= 2, rest.prefix(2).allSatisfy(isHexDigit),
          let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
        else { return nil }
        byte = value
        rest = rest.dropFirst(2)
      }
      guard byte >= 0x20, byte != 0x7F else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  /// The way to a URL.
  enum Choice: Equatable {
    case direct
    case through(ProxyAddress)
    /// Directly, for the proxy that the variable names is of a kind that we don't speak.
    case unusable(variable: String, scheme: String)
  }

  /// The way to a URL, as the environment has it. Lower-case names win, as with curl.
  ///
  /// Only TLS goes through a proxy, and nothing that stays on this machine: a proxy could answer for it. A proxy of
  /// another kind (`https://`, SOCKS) is the environment's, for other programs: no mistake of ours.
  static func choose(for url: WebURL, _ environment: [String: String]) throws(SettingsError) -> Choice {
    guard url.isSecure, !isLoopback(url.host) else { return .direct }
    for name in ["https_proxy", "HTTPS_PROXY"] {
      let text = trimmed((environment[name] ?? "")[...])
      guard !text.isEmpty else { continue }
      let exceptions = ["no_proxy", "NO_PROXY"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
      if exceptions.split(separator: ",").contains(where: { matches(url, exception: trimmed($0)) }) { return .direct }
      if let scheme = foreignScheme(text) { return .unusable(variable: name, scheme: scheme) }
      guard let proxy = ProxyAddress(text) else {
        // A password may be in it, so the value is not repeated.
        throw SettingsError(source: name, value: "...", allowed: "http://host:port or http://user:password@host:port")
      }
      return .through(proxy)
    }
    return .direct
  }

  /// The scheme of a URL (RFC 3986 section 3.1) in lower case, where it is another than http.
  private static func foreignScheme(_ text: Substring) -> String? {
    let bytes = Array(text.utf8)
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8),
      (1...16).contains(colon), isLetter(bytes[0]),
      bytes[..<colon].allSatisfy({ isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) })
    else { return nil }
    let scheme = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
    return scheme == "http" ? nil : scheme
  }

  /// `*`, a name (also for all names below it, with or without a dot before it), an address; each may end with a port.
  private static func matches(_ url: WebURL, exception: Substring) -> Bool {
    if exception == "*" { return true }
    var name = exception
    if name.hasPrefix("*.") { name = name.dropFirst(1) }
    if name.hasPrefix(".") { name = name.dropFirst(1) }
    if let bytes = ipv6Bytes(name) { return ipv6Bytes(url.host) == bytes }
    guard let (host, port) = splitAuthority(name), port == nil || port == url.port else { return false }
    let given = url.host.lowercased()
    let excepted = host.lowercased()
    if ipv4Bytes(excepted) != nil || ipv6Bytes(excepted) != nil { return given == excepted }
    return given == excepted || given.hasSuffix("." + excepted)
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text.drop { $0.isWhitespace }
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }
}
