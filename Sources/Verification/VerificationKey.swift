// A public key of an issuer, ready to verify: key material, key ID and the one algorithm that it is good for.
// How a JWK becomes one, and why not, is in JWKReader.swift.

import Synchronization
import Token

/// How often a key was held against a signature, and when. Any thread; no locks.
public final class KeyUses: Sendable {
  private let good = Atomic<UInt64>(0)
  private let bad = Atomic<UInt64>(0)
  private let last = Atomic<Int64>(0)

  /// Signatures that were the key's.
  public var goodCount: UInt64 { good.load(ordering: .relaxed) }
  /// Signatures that were not.
  public var badCount: UInt64 { bad.load(ordering: .relaxed) }
  /// When a signature was the key's for the last time, in seconds since 1970; nil: never.
  public var lastGood: Int64? {
    let seconds = last.load(ordering: .relaxed)
    return seconds > 0 ? seconds : nil
  }

  /// A signature was verified at `now`, seconds since 1970.
  public func count(isGood: Bool, now: Double) {
    guard isGood else {
      bad.wrappingAdd(1, ordering: .relaxed)
      return
    }
    good.wrappingAdd(1, ordering: .relaxed)
    last.store(Int64(now), ordering: .relaxed)
  }
}

/// One key of an issuer. Immutable; any thread may use it.
///
/// The algorithm is fixed when the key is loaded and a token's `alg` is only compared with it: a token can then not
/// choose how it is verified (RFC 8725 section 3.1).
public final class VerificationKey: Sendable {
  /// The issuer that published the key, as in `iss`.
  public let issuer: [UInt8]
  /// The key's `kid`, 1 to 256 bytes; empty where it has none.
  public let kid: [UInt8]
  /// The one algorithm that the key verifies.
  public let algorithm: Algorithm
  /// Identifies the key material: the SHA-256 of the SubjectPublicKeyInfo.
  public let thumbprint: SHA256Digest
  /// The size: bits of the modulus, or of the curve's field.
  public let bits: Int
  /// The only length that a signature by this key has, in bytes.
  public let signatureLength: Int

  /// What was verified by it, as far as this process knows.
  public let uses = KeyUses()

  let publicKey: PublicKey

  /// Nil when the key can't be encoded for its thumbprint.
  init?(issuer: [UInt8], kid: [UInt8], algorithm: Algorithm, bits: Int, publicKey: consuming PublicKey) {
    guard let thumbprint = publicKey.thumbprint() else { return nil }
    self.issuer = issuer
    self.kid = kid
    self.algorithm = algorithm
    self.thumbprint = thumbprint
    self.bits = bits
    // A signature of RSA is as long as the modulus (RFC 8017 section 8.2.2).
    signatureLength = algorithm.signatureLength ?? (bits + 7) / 8
    self.publicKey = publicKey
  }

  /// Whether both are the same key in the same role: issuer, ID, algorithm and material.
  public func isSame(as other: VerificationKey) -> Bool {
    thumbprint == other.thumbprint && algorithm == other.algorithm && kid == other.kid && issuer == other.issuer
  }
}
