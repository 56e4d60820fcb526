// The closed list of algorithms, and the list of reasons with their names.

import Testing
import Token

@Suite struct AlgorithmTests {
  static func named(_ name: String) -> AlgorithmSet {
    let bytes = Array(name.utf8)
    return Algorithm.named(bytes.span)
  }

  @Test func `each algorithm goes by its name, and EdDSA by one name for two`() {
    for algorithm in Algorithm.allCases {
      let expected: AlgorithmSet = algorithm.keyType == .okp ? [.ed25519, .ed448] : AlgorithmSet(algorithm)
      #expect(Self.named("\(algorithm.name)") == expected)
      #expect(expected.contains(algorithm))
    }
    #expect(Set(Algorithm.allCases.map { "\($0.name)" }).count == 10)
  }

  @Test(arguments: [
    "", "none", "None", "NONE", "HS256", "HS384", "HS512", "rs256", "RS256 ", "RS25", "RS2566", "RS257", "RS284",
    "XS256", "AS256",
    "ES256K", "EDDSA", "EdDSa", "Ed25519", "PS", "SS256", "RT256", "RS\0" + "56",
  ])
  func `no other name is known`(name: String) {
    #expect(Self.named(name).isEmpty)
  }

  @Test func `every five bytes near a name are no name`() {
    for algorithm in Algorithm.allCases {
      let name = Array("\(algorithm.name)".utf8)
      for index in name.indices {
        for value in UInt8.min...UInt8.max where value != name[index] {
          var changed = name
          changed[index] = value
          let found = Algorithm.named(changed.span)
          let isName = Algorithm.allCases.contains { Array("\($0.name)".utf8) == changed }
          #expect(found.isEmpty != isName)
        }
      }
    }
  }

  @Test func `key types, curves, digests and lengths are those of RFC 7518 and RFC 8037`() {
    let rows = Algorithm.allCases.map { algorithm in
      let curve = algorithm.curve.map { "\($0.name)" } ?? "-"
      let digest = algorithm.digest.map { "\($0)" } ?? "-"
      return "\(algorithm.name) \(algorithm.keyType.name) \(curve) \(digest) \(algorithm.signatureLength ?? 0)"
    }
    #expect(
      rows == [
        "RS256 RSA - sha256 0", "RS384 RSA - sha384 0", "RS512 RSA - sha512 0", "PS256 RSA - sha256 0",
        "PS384 RSA - sha384 0", "PS512 RSA - sha512 0", "ES256 EC P-256 sha256 64", "ES384 EC P-384 sha384 96",
        "ES512 EC P-521 sha512 132", "EdDSA OKP Ed25519 - 64", "EdDSA OKP Ed448 - 114",
      ])
  }

  @Test func `a set holds its algorithms and no bits beyond them`() {
    #expect(AlgorithmSet(rawValue: .max) == AlgorithmSet(Algorithm.allCases.map { AlgorithmSet($0) }))
    #expect(!AlgorithmSet.rs256.contains(.rs384))
    #expect(!AlgorithmSet([]).contains(.rs256))
  }
}

@Suite struct ReasonTests {
  @Test func `the reasons are those of the contract, by name`() {
    #expect(
      Reason.allCases.map { "\($0.name)" } == [
        "missing", "ambiguous", "malformed", "too_large", "algorithm", "key_unknown", "signature", "issuer", "audience",
        "expired", "not_yet_valid", "issued_in_future", "token_type", "identity", "not_allowed", "wrong_host",
        "revoked",
        "unknown_application", "keys_unavailable", "overloaded",
      ])
  }

  @Test func `each reason has a sentence of its own`() {
    #expect(Set(Reason.allCases.map { "\($0.explanation)" }).count == Reason.allCases.count)
    for reason in Reason.allCases { #expect("\(reason.explanation)".hasSuffix(".")) }
  }
}
