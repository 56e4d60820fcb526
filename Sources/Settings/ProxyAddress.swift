// The proxy between us and the keys: HTTPS_PROXY and NO_PROXY as other programs read them. Pure; nothing is connected.

/// An HTTP proxy that opens tunnels (CONNECT, RFC 9110 section 9.3.6).
public struct ProxyAddress: Equatable, Sendable, CustomStringConvertible {
  /// A name or a numeric address without brackets.
  public let host: String
  public let port: UInt16

  public var description: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
  }

  /// Reads `http://host[:port]` with at most a slash behind it; port 80 where none is written.
  ///
  /// No https (the tunnel inside is TLS to the key server anyway), no user and password.
  init?(_ text: String) {
    guard text.hasPrefix("http://") else { return nil }
    var authority = text.dropFirst(7)
    if authority.hasSuffix("/") { authority = authority.dropLast() }
    guard let (host, port) = splitAuthority(authority) else { return nil }
    self.host = host
    self.port = port ?? 80
  }

  /// The proxy for a URL; nil: go there directly. Lower-case names win, as with curl.
  ///
  /// Only TLS goes through a proxy, and nothing that stays on this machine: a proxy could answer for it.
  static func choose(for url: WebURL, _ environment: [String: String]) throws(SettingsError) -> ProxyAddress? {
    guard url.isSecure, !isLoopback(url.host) else { return nil }
    let name = ["https_proxy", "HTTPS_PROXY"].first { !(environment[$0] ?? "").isEmpty }
    guard let name, let text = environment[name] else { return nil }
    let exceptions = ["no_proxy", "NO_PROXY"].compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
    if exceptions.split(separator: ",").contains(where: { matches(url, exception: trimmed($0)) }) { return nil }
    guard let proxy = ProxyAddress(text) else {
      // A password may be in it, so the value is not repeated.
      throw SettingsError(source: name, value: "...", allowed: "http://host:port, with no user and no password")
    }
    return proxy
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
    var text = text.drop { $0 == " " || $0 == "\t" }
    while text.hasSuffix(" ") || text.hasSuffix("\t") { text.removeLast() }
    return text
  }
}
