// The rules of single texts in the settings file, its policy tests and the revocation file.

import Policy

extension TextRule {
  /// Names of applications, issuers, groups and service tokens.
  static let name = TextRule(
    allowed: "1 to 63 of a-z 0-9 -", pattern: "^[a-z0-9-]{1,63}$", mayBeTyped: true
  ) { text in
    (1...63).contains(text.utf8.count)
      && text.utf8.allSatisfy { isLowerCase($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
  }

  /// A text for people: a policy's name.
  static let title = TextRule(
    allowed: "1 to 128 characters on one line", pattern: "^[^\\u0000-\\u001f\\u007f]{1,128}$", mayBeTyped: true
  ) { text in
    (1...128).contains(text.unicodeScalars.count) && isOneLine(text)
  }

  static let audience = TextRule(
    allowed: "1 to 128 of A-Z a-z 0-9 . _ ~ - /", pattern: "^[A-Za-z0-9._~/-]{1,128}$", mayBeTyped: true
  ) { text in
    (1...128).contains(text.utf8.count)
      && text.utf8.allSatisfy { isLetter($0) || isDigit($0) || "._~-/".utf8.contains($0) }
  }

  static let host = TextRule(
    allowed: "a host name without a port, or *. and a host name",
    pattern: "^(\\*\\.)?[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$|^\\[[0-9A-Fa-f:.]+\\]$"
  ) { HostName.pattern($0) != nil }

  static let path = TextRule(
    allowed: "/literal, /x/* (one segment) or /x/** (what is below); no other star, %, ?, //, \\ or dot segments",
    pattern: "^/[^*%?\\\\\\u0000-\\u001f\\u007f]*(/\\*{1,2})?$|^/\\*{1,2}$"
  ) { PathPattern.isPattern($0) }

  static let method = TextRule(allowed: "a method in upper case, such as GET", pattern: "^[A-Z][A-Z0-9_-]{0,31}$") {
    text in
    (1...32).contains(text.utf8.count) && isUpperCase(text.utf8.first!)
      && text.utf8.allSatisfy { isUpperCase($0) || isDigit($0) || $0 == 0x2D || $0 == 0x5F }
  }

  static let network = TextRule(
    allowed: "a network such as 10.0.0.0/8 or fd00::/8, no bits behind its prefix, or an address",
    pattern: "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"
  ) { Network($0) != nil }

  static let email = TextRule(
    allowed: "an email address: one @ with something on both sides", pattern: "^[^@\\s]+@[^@\\s]+$"
  ) { text in
    let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && text.utf8.count <= 254 && isWord(text)
  }

  static let domain = TextRule(allowed: "a domain without @, such as acme.com", pattern: "^[^@\\s*]+$") { text in
    (1...253).contains(text.utf8.count) && isWord(text) && !text.contains("@") && !text.contains("*")
  }

  static let country = TextRule(allowed: "a country's two capital letters, such as CH", pattern: "^[A-Z][A-Z0-9]$") {
    text in
    text.utf8.count == 2 && isUpperCase(text.utf8.first!) && text.utf8.allSatisfy { isUpperCase($0) || isDigit($0) }
  }

  static let subject = TextRule(
    allowed: "a sub claim: 1 to 1024 characters", pattern: "^[^\\u0000-\\u001f\\u007f]{1,1024}$", mayBeTyped: true
  ) { (1...1024).contains($0.unicodeScalars.count) && isOneLine($0) }

  static let commonName = TextRule(
    allowed: "a certificate's common name; a service token's Client ID goes under service_tokens",
    pattern: "^[^\\u0000-\\u001f\\u007f]{1,254}$", mayBeTyped: true
  ) { (1...254).contains($0.utf8.count) && isOneLine($0) && !ClientID.isClientID($0) }

  static let clientID = TextRule(
    allowed: "a Client ID: 32 hexadecimal digits and .access, perhaps with .<domain> behind",
    pattern: "^[0-9A-Fa-f]{32}\\.access(\\.[A-Za-z0-9_-]+)*$"
  ) { ClientID.isClientID($0) }

  static let claimPath = TextRule(
    allowed: "a claim's name, or names separated by dots",
    pattern: "^[^.\\u0000-\\u001f\\u007f]+(\\.[^.\\u0000-\\u001f\\u007f]+)*$"
  ) { ClaimPath($0) != nil }

  static let claimValue = TextRule(allowed: "a text, a number, true or false", mayBeTyped: true) {
    $0.utf8.count <= 1024 && !$0.utf8.contains(0)
  }

  static let yes = TextRule.words(["true"], allowed: "true (where it does not hold, leave it out)")

  static let headerName = TextRule(
    allowed:
      "a header's name that does not steer HTTP (Host, Connection, Content-*, Transfer-Encoding, Set-Cookie, hop-by-hop), not Cf-*, and not one of the five X-Auth- headers",
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$"
  ) { HeaderNames.isAllowed($0) }

  static let headerValue = TextRule(
    allowed: "at most 1024 bytes of text on one line", pattern: "^[^\\u0000-\\u001f\\u007f]{0,1024}$", mayBeTyped: true
  ) { $0.utf8.count <= 1024 && isOneLine($0) }

  static let join = TextRule(
    allowed: "1 to 16 printable ASCII characters, no %", pattern: "^[ -$&-~]{1,16}$", mayBeTyped: true
  ) { text in
    (1...16).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x25 }
  }

  static let absolutePath = TextRule(allowed: "an absolute path", pattern: "^/[^\\u0000-\\u001f\\u007f]*$") {
    $0.hasPrefix("/") && $0.utf8.count <= 1024 && isOneLine($0)
  }

  static let relativePath = TextRule(
    allowed: "a file's path, relative to the settings file's folder", pattern: "^[^\\u0000-\\u001f\\u007f]+$"
  ) { (1...1024).contains($0.utf8.count) && isOneLine($0) }

  /// The value of a setting: what it may say is the setting's own business.
  static let settingValue = TextRule(allowed: "a value", mayBeTyped: true) { !$0.isEmpty }

  static let time = TextRule(
    allowed: "a time of RFC 3339, such as 2026-11-25T13:00:00Z",
    pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
  ) { Timestamp.seconds($0) != nil }

  static let digest = TextRule(allowed: "64 hexadecimal digits", pattern: "^[0-9A-Fa-f]{64}$", mayBeTyped: true) {
    $0.utf8.count == 64 && $0.utf8.allSatisfy(isHexadecimal)
  }

  static let anyText = TextRule(allowed: "a text", mayBeTyped: true) { _ in true }
  static let someText = TextRule(allowed: "a text that is not empty", pattern: "^.+$", mayBeTyped: true) { !$0.isEmpty }
}

/// Names that a file may not give to a header.
enum HeaderNames {
  static func isAllowed(_ name: String) -> Bool {
    guard (1...64).contains(name.utf8.count), name.utf8.allSatisfy(isToken) else { return false }
    let name = name.lowercased()
    return !refused.contains(name) && !name.hasPrefix("content-") && !name.hasPrefix("cf-")
  }

  /// What proxies and clients act upon (RFC 9110 section 7.6.1 and RFC 9112), and what is written for each reply anyway.
  private static let refused: Set<String> = [
    "host", "connection", "transfer-encoding", "set-cookie", "keep-alive", "proxy-connection", "proxy-authenticate",
    "proxy-authorization", "proxy-authentication-info", "te", "trailer", "upgrade", "http2-settings", "x-auth-user",
    "x-auth-email", "x-auth-kind", "x-auth-subject", "x-auth-expires",
  ]

  private static func isToken(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
  }
}

func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }
func isUpperCase(_ byte: UInt8) -> Bool { byte &- 0x41 < 26 }
func isLowerCase(_ byte: UInt8) -> Bool { byte &- 0x61 < 26 }
func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
func isHexadecimal(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20) &- 0x61 < 6 }

/// No control bytes.
private func isOneLine(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
/// No control bytes and no spaces.
private func isWord(_ text: String) -> Bool { text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } }
