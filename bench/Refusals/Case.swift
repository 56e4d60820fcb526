// The tokens of the usual kind that are measured: one kind of refusal each. The costliest that 8 KiB can hold are in
// Costliest.swift. Nothing is measured here.

import DevIssuer
import Token
import Verification

/// What the first answer to a token must be.
enum Expected: Equatable {
  case refused(Reason)
  case needsSignature
}

/// Tokens of one kind, all with the same outcome. Several, because a branch predictor learns a single one by heart.
struct Case {
  let name: String
  let expected: Expected
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
  let noSignature = Base64URLEncoding.encode([UInt8](repeating: 0x5A, count: 256))
  let shortSignature = "WlpaWlpa"

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
    func one(_ name: String, _ reason: Reason, _ token: [UInt8]) -> Case {
      Case(name: name, expected: .refused(reason), tokens: [token])
    }
    let kid = "\"kid\":\"\(team.current.kid)\""
    let letters = String(repeating: "a", count: 5200)
    let plain = token(payload: Array(claims(extra: ",\"x\":\"\(letters)\"").utf8))
    let lastBraceMissing = token(payload: Array(claims(extra: ",\"x\":\"\(letters)\"").utf8.dropLast()))
    return [
      one("one byte too large", .tooLarge, [UInt8](repeating: 0x41, count: Self.largest + 1)),
      one("header too large", .tooLarge, [UInt8](repeating: 0x41, count: 1025) + Array(".AAAA.AAAA".utf8)),
      one("8 KiB without a dot", .malformed, [UInt8](repeating: 0x41, count: Self.largest)),
      one("8 KiB of dots", .malformed, [UInt8](repeating: 0x2E, count: Self.largest)),
      one("8 KiB with a last character no base64url", .malformed, plain.dropLast() + [0x3D]),
      one("8 KiB that are two tokens and a comma", .ambiguous, plain.dropLast(usual.count + 1) + [0x2C] + usual),
      one("8 KiB with a last brace missing", .malformed, lastBraceMissing),
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
