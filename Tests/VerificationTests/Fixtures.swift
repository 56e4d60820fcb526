// What the tests of this room share: an issuer that does not exist, keys from the stand-in, and shorthands.

import DevIssuer
import Testing
import Token

@testable import Verification

enum Fixture {
  static let cloudflare = "https://acme.cloudflareaccess.com"
  static let other = "https://keys.example"
  static let audience = "32eafc7626e737fcc5b9eb5df2ef2ee2ee2bf9b8e0d4f4a7a2c5f3d8a1b0c9d8"
  static let now = 1_800_000_000
  static let allAlgorithms: AlgorithmSet = [
    .rs256, .rs384, .rs512, .ps256, .ps384, .ps512, .es256, .es384, .es512, .ed25519, .ed448,
  ]

  /// One key for each way to sign, made once a run: RSA keys are slow to make.
  static let signers: [SigningAlgorithm: SigningKey] = {
    var keys: [SigningAlgorithm: SigningKey] = [:]
    for algorithm in SigningAlgorithm.allCases { keys[algorithm] = try? SigningKey.generate(algorithm) }
    return keys
  }()
  static let team = try! StandInIssuer(issuer: cloudflare)

  static func read(
    _ text: String, issuer: String = cloudflare, algorithms: AlgorithmSet = .rs256
  ) throws(JWKSetError) -> JWKSet {
    try JWKSet.read(Array(text.utf8).span, issuer: Array(issuer.utf8), algorithms: algorithms)
  }

  static func keySet(
    of keys: [SigningKey], issuer: String = other, algorithms: AlgorithmSet = allAlgorithms, generation: UInt64 = 1
  ) throws -> KeySet {
    let jwks = try keys.map { try $0.jwk() }.joined(separator: ",")
    return KeySet(
      try read("{\"keys\":[\(jwks)]}", issuer: issuer, algorithms: algorithms), generation: generation)
  }

  static func keySet(of team: StandInIssuer, generation: UInt64 = 1) throws -> KeySet {
    let text = String(decoding: try team.keySet(), as: UTF8.self)
    return KeySet(try read(text, issuer: team.issuer), generation: generation)
  }

  static func judge(_ issuer: String = cloudflare, algorithms: AlgorithmSet = .rs256) -> Judge {
    Judge(Expectations(issuer: Array(issuer.utf8), algorithms: algorithms))
  }

  struct NoVerifier: Error {}

  static func verifier() throws -> SignatureVerifier {
    guard let verifier = SignatureVerifier() else { throw NoVerifier() }
    return verifier
  }
}

extension KeySet {
  /// `key`, in a form that the macros of the tests can take.
  func key(named kid: [UInt8]) -> VerificationKey? { key(kid.span) }
}

extension DERSignature {
  /// The encoding of a raw signature; nil where it has none.
  static func encoding(_ raw: [UInt8]) -> [UInt8]? {
    guard let signature = DERSignature(raw: raw.span) else { return nil }
    return (0..<signature.count).map { signature.bytes[$0] }
  }
}
