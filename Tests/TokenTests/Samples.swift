// Tokens for the tests: well-formed, with a signature that nobody looks at here.

import Token

/// What the sample tokens say, and what is expected of them.
enum Samples {
  static let issuer = "https://acme.cloudflareaccess.com"
  static let audience = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"
  static let now = 1_700_000_000.0
  static let header = #"{"alg":"RS256","kid":"key-1","typ":"JWT"}"#
  static let expectations = Expectations(issuer: Array(issuer.utf8), leeway: 30, require: .any)

  /// The claims of a user that pass every check at `now`, in the order of a token of Cloudflare.
  static let claims: [(name: String, value: String)] = [
    ("aud", "[\"\(audience)\"]"), ("email", #""someone@example.com""#), ("exp", "1700003600"), ("iat", "1700000000"),
    ("nbf", "1700000000"), ("iss", "\"\(issuer)\""), ("type", #""app""#), ("sub", #""7335d417""#),
    ("country", #""US""#),
  ]

  /// The claims with some replaced (by their JSON), or left out (nil).
  static func payload(_ changes: [String: String?] = [:]) -> String {
    var members = claims.compactMap { claim -> String? in
      guard let change = changes[claim.name] else { return "\"\(claim.name)\":\(claim.value)" }
      return change.map { "\"\(claim.name)\":\($0)" }
    }
    for (name, value) in changes where !claims.contains(where: { $0.name == name }) {
      if let value { members.append("\"\(name)\":\(value)") }
    }
    return "{" + members.joined(separator: ",") + "}"
  }

  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var text = ""
    var bits = 0
    var count = 0
    for byte in bytes {
      bits = bits << 8 | Int(byte)
      count += 8
      while count >= 6 {
        count -= 6
        text.append(alphabet[bits >> count & 63])
      }
      bits &= 1 << count - 1
    }
    if count > 0 { text.append(alphabet[bits << (6 - count) & 63]) }
    return text
  }

  static func token(header: [UInt8], payload: [UInt8]) -> String {
    "\(encode(header)).\(encode(payload)).\(encode([0xC0, 0xFF, 0xEE, 0x5A]))"
  }

  static func token(header: String = header, payload: String = payload()) -> String {
    token(header: Array(header.utf8), payload: Array(payload.utf8))
  }
}

/// The verdict of `read` on a token.
func reading(_ token: String) -> Reason? {
  var reader = TokenReader()
  let bytes = Array(token.utf8)
  return reader.read(bytes.span)
}

/// The verdict of `read`, then `check`, on a token with these claims.
func checking(
  _ changes: [String: String?], header: String = Samples.header, expecting: Expectations = Samples.expectations,
  audience: String = Samples.audience, now: Double = Samples.now
) -> Reason? {
  var reader = TokenReader()
  let bytes = Array(Samples.token(header: header, payload: Samples.payload(changes)).utf8)
  let asked = Array(audience.utf8)
  return reader.read(bytes.span) ?? reader.check(expecting, audience: asked.span, now: now)
}
