// The identity headers of an allowed request: always all five, so that a proxy overwrites whatever the client sent
// (Caddy CVE-2026-30851).

import Token

enum IdentityLines {
  private static let user = Array("X-Auth-User: ".utf8)
  private static let email = Array("\r\nX-Auth-Email: ".utf8)
  private static let kind = Array("\r\nX-Auth-Kind: ".utf8)
  private static let subject = Array("\r\nX-Auth-Subject: ".utf8)
  private static let expires = Array("\r\nX-Auth-Expires: ".utf8)

  /// What leaves where there is no verified identity: all five, empty.
  static let empty = user + email + kind + subject + expires + [13, 10]

  /// Writes complete field lines about a token that was read and found valid, behind what `lines` holds.
  static func write(_ token: borrowing TokenReader, to lines: inout [UInt8]) {
    lines += user
    token.appendUser(to: &lines)
    lines += email
    token.appendEmail(to: &lines)
    lines += kind
    token.kind?.name.withUTF8Buffer { unsafe lines.append(contentsOf: $0) }
    lines += subject
    token.appendSubject(to: &lines)
    lines += expires
    append(token.expiresFloored ?? 0, to: &lines)
    lines += [13, 10]
  }

  private static func append(_ number: Int64, to lines: inout [UInt8]) {
    if number >= 10 { append(number / 10, to: &lines) }
    lines.append(UInt8(ascii: "0") + UInt8(number % 10))
  }
}
