// The tokens that are measured: one kind of refusal each, then the costliest payloads that 8 KiB can hold.
// Nothing is measured here.

import Issuer
import Token
import Verification

/// Tokens of one kind, all with the same outcome. Several, because a branch predictor learns a single one by heart.
struct Case {
  let name: String
  /// What `assess` must say; nil where only the signature is left.
  let reason: Reason?
  let tokens: [[UInt8]]
}

/// A team whose tokens are measured, and how they are written.
struct Workshop {
  static let issuer = "https://acme.cloudflareaccess.com"
  static let audience = String(repeating: "4f", count: 32)
  static let now = 1_800_000_000
  static let largest = TokenReader.maximumTokenLength

  let team: StandInIssuer
  /// A signature of the right length that is none.
  private let noSignature = Base64URLEncoding.encode([UInt8](repeating: 0x5A, count: 256))
  private let shortSignature = "WlpaWlpa"

  init() throws { team = try StandInIssuer(issuer: Self.issuer) }

  func keys() throws -> KeySet {
    let text = try team.keySet()
    let set = try JWKSet.read(text.span, issuer: Array(Self.issuer.utf8), algorithms: .rs256)
    return KeySet(set, generation: 1)
  }

  var header: String { "{\"alg\":\"RS256\",\"kid\":\"\(team.current.kid)\",\"typ\":\"JWT\"}" }

  /// The claims of a user, some replaced by their JSON.
  func claims(_ changes: [String: String] = [:], without absent: String? = nil, extra: String = "") -> String {
    let usual: [(String, String)] = [
      ("aud", "[\"\(Self.audience)\"]"), ("email", "\"someone@example.com\""), ("exp", "\(Self.now + 3600)"),
      ("iat", "\(Self.now)"), ("nbf", "\(Self.now)"), ("iss", "\"\(Self.issuer)\""), ("type", "\"app\""),
      ("identity_nonce", "\"6ei69kawdKzMIAPF\""), ("sub", "\"7335d417-61da-459d-899c-0a01c76a2f94\""),
      ("country", "\"NL\""),
    ]
    let present = usual.filter { $0.0 != absent && (absent == nil || $0.0 != "sub") }
    return "{" + present.map { "\"\($0.0)\":\(changes[$0.0] ?? $0.1)" }.joined(separator: ",") + extra + "}"
  }

  func token(header: String? = nil, payload: [UInt8], signature: String? = nil) -> [UInt8] {
    let parts = [
      Base64URLEncoding.encode((header ?? self.header).utf8), Base64URLEncoding.encode(payload),
      signature ?? noSignature,
    ]
    return Array(parts.joined(separator: ".").utf8)
  }

  func token(header: String? = nil, _ changes: [String: String] = [:], signature: String? = nil) -> [UInt8] {
    token(header: header, payload: Array(claims(changes).utf8), signature: signature)
  }

  /// One token a kind of refusal, all of the usual size unless the refusal is about size.
  var refusals: [Case] {
    let usual = token()
    func one(_ name: String, _ reason: Reason?, _ token: [UInt8]) -> Case {
      Case(name: name, reason: reason, tokens: [token])
    }
    let kid = "\"kid\":\"\(team.current.kid)\""
    return [
      one("one byte too large", .tooLarge, [UInt8](repeating: 0x41, count: Self.largest + 1)),
      one("header too large", .tooLarge, [UInt8](repeating: 0x41, count: 1025) + Array(".AAAA.AAAA".utf8)),
      one("8 KiB without a dot", .malformed, [UInt8](repeating: 0x41, count: Self.largest)),
      one("8 KiB of dots", .malformed, [UInt8](repeating: 0x2E, count: Self.largest)),
      one("last character no base64url", .malformed, usual.dropLast() + [0x3D]),
      one("crit", .malformed, token(header: "{\"alg\":\"RS256\",\(kid),\"crit\":[\"exp\"]}")),
      one("kid missing", .malformed, token(header: "{\"alg\":\"RS256\"}")),
      one("payload no object", .malformed, token(payload: Array("[]".utf8))),
      one("typ", .tokenType, token(header: "{\"alg\":\"RS256\",\(kid),\"typ\":\"at+jwt\"}")),
      one("alg none", .algorithm, token(header: "{\"alg\":\"none\",\(kid)}")),
      one("alg HS256", .algorithm, token(header: "{\"alg\":\"HS256\",\(kid)}")),
      one("iss", .issuer, token(["iss": "\"https://evil.example\""])),
      one("aud", .audience, token(["aud": "[\"other\"]"])),
      one("exp", .expired, token(["exp": "\(Self.now - 60)"])),
      one("nbf", .notYetValid, token(["nbf": "\(Self.now + 60)"])),
      one("iat", .issuedInFuture, token(["iat": "\(Self.now + 60)"])),
      one("type", .tokenType, token(["type": "\"org\""])),
      one("email", .identity, token(["email": "\"a@b@c\""])),
      one(
        "kid unknown", .keyUnknown,
        token(header: "{\"alg\":\"RS256\",\"kid\":\"\(String(repeating: "0", count: 64))\"}")),
      one("signature too short", .signature, token(signature: shortSignature)),
    ]
  }

  /// Claims that pass every check, filled up to the largest token by what costs most, and refused by the length of the
  /// signature: all work that comes before a signature is done for these.
  var costliest: [Case] {
    var generator = SeededGenerator(state: 20_260_101)
    func filled(_ name: String, expecting reason: Reason = .malformed, _ piece: (inout SeededGenerator) -> String)
      -> Case
    {
      let tokens = (0..<32).map { _ in largestToken { piece(&generator) } }
      return Case(name: name, reason: reason, tokens: tokens)
    }
    func string(_ name: String, _ piece: (inout SeededGenerator) -> String) -> Case {
      let tokens = (0..<32).map { _ in largestToken(open: ",\"x\":\"", close: "\"", separator: "") { piece(&generator) }
      }
      return Case(name: name, reason: .signature, tokens: tokens)
    }
    func white(_ name: String, _ piece: (inout SeededGenerator) -> String) -> Case {
      let tokens = (0..<32).map { _ in largestToken(open: "", close: "", separator: "") { piece(&generator) } }
      return Case(name: name, reason: .signature, tokens: tokens)
    }
    let mixed = ["1", "\"\"", "[]", "{}", "0", "-1", "null", "\"a\"", "[1]", "1e1", "true"]
    let characters = ["a", "é", "\\n", "€", "\\u0041", "😀", "bc", "\\ud83d\\ude00"]
    return [
      string("a string of letters") { _ in "abcdefghijklmnop" },
      string("a string of two-byte characters") { _ in "éèêëàâîïôû" },
      string("a string of three-byte characters") { _ in "€ﬀ한漢" },
      string("a string of short escapes") { _ in "\\n\\t\\r\\b" },
      string("a string of \\u escapes") { _ in "\\u0041\\u00e9" },
      string("a string of mixed characters") { characters.randomElement(using: &$0)! },
      white("white space") { ["  ", "\n", "\t\r\n "].randomElement(using: &$0)! },
      Case(
        name: "exp with thousands of digits", reason: .signature,
        tokens: [
          token(["exp": "\(Self.now + 3600)." + String(repeating: "0", count: 5400) + "1"], signature: shortSignature)
        ]),
      Case(
        name: "a common_name of escapes", reason: .identity,
        tokens: [
          largestToken(open: ",\"common_name\":\"", close: "\"", separator: "", without: "email") { "\\u0041\\n" }
        ]),
      Case(
        name: "a name of mixed characters", reason: .signature,
        tokens: (0..<32).map { _ in
          largestToken(open: ",\"", close: "\":1", separator: "") { characters.randomElement(using: &generator)! }
        }),
      Case(
        name: "one long number", reason: .signature,
        tokens: [
          largestToken(open: ",\"x\":1", close: "", separator: "") { "7" }
        ]),
      filled("an array of digits") { _ in "1" },
      filled("an array of empty strings") { _ in "\"\"" },
      filled("an array of mixed values") { mixed.randomElement(using: &$0)! },
      filled("an array of objects") { _ in "{\"a\":1}" },
      filled("an array of arrays") { _ in "[[[[[]]]]]" },
      filled("objects of 64 members") { generator in
        "{"
          + (0..<64).map { "\"\(String($0 &+ Int.random(in: 0..<4, using: &generator) * 64, radix: 36))\":1" }
          .joined(separator: ",") + "}"
      },
    ]
  }

  /// The usual claims and one more member, filled with as many pieces as the largest token holds.
  private func largestToken(
    open: String = ",\"x\":[", close: String = "]", separator: String = ",", without absent: String? = nil,
    _ piece: () -> String
  ) -> [UInt8] {
    let room = (Self.largest - Base64URLEncoding.encode(header.utf8).utf8.count - shortSignature.utf8.count - 2) / 4 * 3
    var extra = Array(open.utf8)
    let fixed = claims(without: absent).utf8.count + close.utf8.count
    var isFirst = true
    while true {
      let next = Array(((isFirst ? "" : separator) + piece()).utf8)
      guard fixed + extra.count + next.count <= room else { break }
      extra += next
      isFirst = false
    }
    let payload = claims(without: absent, extra: String(decoding: extra, as: UTF8.self) + close)
    return token(payload: Array(payload.utf8), signature: shortSignature)
  }
}

/// SplitMix64: the same tokens in every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
