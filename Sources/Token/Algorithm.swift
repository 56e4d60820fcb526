// The closed list of signature algorithms. There is no HS* and no none, here or anywhere: a public key can then never
// serve as a shared secret, and an unsigned token has no name to go by.

/// The `kty` of a JSON Web Key (RFC 7518 section 6.1, RFC 8037 section 2).
public enum KeyType: UInt8, Sendable {
  case rsa, ec, okp

  /// The value of `kty`.
  public var name: StaticString {
    switch self {
    case .rsa: "RSA"
    case .ec: "EC"
    case .okp: "OKP"
    }
  }
}

/// The `crv` of a JSON Web Key that can verify (RFC 7518 section 6.2.1.1, RFC 8037 section 2).
public enum Curve: UInt8, CaseIterable, Sendable {
  case p256, p384, p521, ed25519, ed448

  /// The value of `crv`.
  public var name: StaticString {
    switch self {
    case .p256: "P-256"
    case .p384: "P-384"
    case .p521: "P-521"
    case .ed25519: "Ed25519"
    case .ed448: "Ed448"
    }
  }
}

/// The hash that a signature is made over; EdDSA has its own inside.
public enum Digest: UInt8, Sendable {
  case sha256, sha384, sha512
}

/// How a JWS is signed (RFC 7518 section 3.1, RFC 8037 section 3.1). A key has exactly one, fixed when it is loaded.
///
/// `EdDSA` is two algorithms under one name, which the key's curve tells apart.
public enum Algorithm: UInt8, CaseIterable, Sendable {
  case rs256, rs384, rs512
  case ps256, ps384, ps512
  case es256, es384, es512
  case ed25519, ed448

  /// The value of `alg`.
  public var name: StaticString {
    switch self {
    case .rs256: "RS256"
    case .rs384: "RS384"
    case .rs512: "RS512"
    case .ps256: "PS256"
    case .ps384: "PS384"
    case .ps512: "PS512"
    case .es256: "ES256"
    case .es384: "ES384"
    case .es512: "ES512"
    case .ed25519, .ed448: "EdDSA"
    }
  }

  /// The type of key that it takes.
  public var keyType: KeyType {
    switch self {
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: .rsa
    case .es256, .es384, .es512: .ec
    case .ed25519, .ed448: .okp
    }
  }

  /// The only curve that its keys may lie on; nil for RSA.
  public var curve: Curve? {
    switch self {
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: nil
    case .es256: .p256
    case .es384: .p384
    case .es512: .p521
    case .ed25519: .ed25519
    case .ed448: .ed448
    }
  }

  /// The hash of the signing input; nil for EdDSA. For PS* also that of MGF1, and its length that of the salt.
  public var digest: Digest? {
    switch self {
    case .rs256, .ps256, .es256: .sha256
    case .rs384, .ps384, .es384: .sha384
    case .rs512, .ps512, .es512: .sha512
    case .ed25519, .ed448: nil
    }
  }

  /// The exact length of a signature in bytes; nil for RSA, where it is that of the key's modulus.
  public var signatureLength: Int? {
    switch self {
    case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: nil
    case .es256: 64
    case .es384: 96
    case .es512: 132
    case .ed25519: 64
    case .ed448: 114
    }
  }

  /// The algorithms that go by the exact `name`: one, two for `EdDSA`, none for anything else (also for `rs256`).
  public static func named(_ name: Span<UInt8>) -> AlgorithmSet {
    guard name.count == 5 else { return [] }
    if name[0] == UInt8(ascii: "E"), name[1] == UInt8(ascii: "d") {
      let isEdDSA = name[2] == UInt8(ascii: "D") && name[3] == UInt8(ascii: "S") && name[4] == UInt8(ascii: "A")
      return isEdDSA ? [.ed25519, .ed448] : []
    }
    guard name[1] == UInt8(ascii: "S") else { return [] }
    let bits: Int
    switch (name[2], name[3], name[4]) {
    case (UInt8(ascii: "2"), UInt8(ascii: "5"), UInt8(ascii: "6")): bits = 0
    case (UInt8(ascii: "3"), UInt8(ascii: "8"), UInt8(ascii: "4")): bits = 1
    case (UInt8(ascii: "5"), UInt8(ascii: "1"), UInt8(ascii: "2")): bits = 2
    default: return []
    }
    switch name[0] {
    case UInt8(ascii: "R"): return bits == 0 ? .rs256 : bits == 1 ? .rs384 : .rs512
    case UInt8(ascii: "P"): return bits == 0 ? .ps256 : bits == 1 ? .ps384 : .ps512
    case UInt8(ascii: "E"): return bits == 0 ? .es256 : bits == 1 ? .es384 : .es512
    default: return []
    }
  }
}

/// A set of algorithms: those of an issuer, or those that a name stands for.
public struct AlgorithmSet: OptionSet, Sendable, Hashable {
  /// One bit an algorithm, at the place of its raw value.
  public let rawValue: UInt16

  /// The set with these bits; bits that stand for no algorithm are dropped.
  public init(rawValue: UInt16) {
    self.rawValue = rawValue & 0x07FF
  }

  /// The set of one.
  public init(_ algorithm: Algorithm) {
    rawValue = 1 << UInt16(algorithm.rawValue)
  }

  /// Whether `algorithm` is among them.
  public func contains(_ algorithm: Algorithm) -> Bool {
    contains(AlgorithmSet(algorithm))
  }

  public static let rs256 = AlgorithmSet(.rs256)
  public static let rs384 = AlgorithmSet(.rs384)
  public static let rs512 = AlgorithmSet(.rs512)
  public static let ps256 = AlgorithmSet(.ps256)
  public static let ps384 = AlgorithmSet(.ps384)
  public static let ps512 = AlgorithmSet(.ps512)
  public static let es256 = AlgorithmSet(.es256)
  public static let es384 = AlgorithmSet(.es384)
  public static let es512 = AlgorithmSet(.es512)
  public static let ed25519 = AlgorithmSet(.ed25519)
  public static let ed448 = AlgorithmSet(.ed448)
}
