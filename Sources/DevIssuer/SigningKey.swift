// A private key of the stand-in issuer: made, signed with, turned into its public JWK, written to and read from PEM.
// The only file of this target that touches OpenSSL's pointers. No claims, no files, no verification here.
//
// Invariant: `key` is one reference to an EVP_PKEY, taken in `init(takingOwnershipOf:)`, given back in `deinit`,
// and never changed in between; every other OpenSSL object lives inside one function, which frees it.

import COpenSSL

/// What the stand-in can sign with (RFC 7518 section 3.1, RFC 8037 section 3.1).
public enum SigningAlgorithm: String, Sendable, CaseIterable {
  case rs256 = "RS256"
  case rs384 = "RS384"
  case rs512 = "RS512"
  case ps256 = "PS256"
  case ps384 = "PS384"
  case ps512 = "PS512"
  case es256 = "ES256"
  case es384 = "ES384"
  case es512 = "ES512"
  case ed25519 = "Ed25519"
  case ed448 = "Ed448"

  /// The value of `alg`; the two Edwards curves share one (RFC 8037 section 3.1).
  public var name: String {
    switch self {
    case .ed25519, .ed448: "EdDSA"
    default: rawValue
    }
  }

  /// OpenSSL's name of the digest; nil where the algorithm digests by itself.
  var digest: String? {
    switch self {
    case .rs256, .ps256, .es256: "SHA256"
    case .rs384, .ps384, .es384: "SHA384"
    case .rs512, .ps512, .es512: "SHA512"
    case .ed25519, .ed448: nil
    }
  }

  /// JOSE's name of the curve, and the length of a coordinate in bytes; nil for RSA.
  var curve: (name: String, bytes: Int)? {
    switch self {
    case .es256: ("P-256", 32)
    case .es384: ("P-384", 48)
    case .es512: ("P-521", 66)
    case .ed25519: ("Ed25519", 32)
    case .ed448: ("Ed448", 57)
    default: nil
    }
  }

  var isPSS: Bool {
    switch self {
    case .ps256, .ps384, .ps512: true
    default: false
    }
  }

  var isECDSA: Bool {
    switch self {
    case .es256, .es384, .es512: true
    default: false
    }
  }
}

/// Why the stand-in could not make or use a key.
public enum IssuerError: Error, Equatable, Sendable, CustomStringConvertible {
  /// OpenSSL refused; the name of the step.
  case openssl(String)

  public var description: String {
    switch self {
    case .openssl(let step): "OpenSSL refused a step of the stand-in: \(step)"
    }
  }
}

/// One private key with its fixed algorithm and key ID. Immutable; any thread may use it.
// Safe to share: the EVP_PKEY is never changed after it was made, and OpenSSL counts its references atomically.
@safe public final class SigningKey: @unchecked Sendable {
  private let key: OpaquePointer
  /// The one algorithm that this key signs with.
  public let algorithm: SigningAlgorithm
  /// 64 hex digits, as Cloudflare's are: the SHA-256 of the key's SubjectPublicKeyInfo.
  public let kid: String

  private init(takingOwnershipOf key: OpaquePointer, algorithm: SigningAlgorithm) throws(IssuerError) {
    unsafe self.key = key
    self.algorithm = algorithm
    var spki: UnsafeMutablePointer<UInt8>? = nil
    // i2d allocates when the pointer is nil; freed below, on the only way out.
    let length = Int(unsafe i2d_PUBKEY(key, &spki))
    var digest = [UInt8](repeating: 0, count: 32)
    let good = unsafe length > 0 && EVP_Q_digest(nil, "SHA256", nil, spki, length, &digest, nil) == 1
    unsafe CRYPTO_free(spki, "", 0)
    kid = Hex.encode(digest)
    guard good else { throw .openssl("SubjectPublicKeyInfo") }
  }

  deinit { unsafe EVP_PKEY_free(key) }

  /// A fresh key from the system's randomness. `bits` is for RSA alone. Throws when OpenSSL can't.
  public static func generate(_ algorithm: SigningAlgorithm, bits: Int = 2048) throws(IssuerError) -> SigningKey {
    let made =
      switch algorithm {
      case .es256, .es384, .es512: unsafe copenssl_generate_ec(algorithm.curve!.name)
      case .ed25519: unsafe copenssl_generate_edwards("ED25519")
      case .ed448: unsafe copenssl_generate_edwards("ED448")
      default: unsafe copenssl_generate_rsa(bits)
      }
    guard let made = unsafe made else { throw .openssl("key generation") }
    return unsafe try SigningKey(takingOwnershipOf: made, algorithm: algorithm)
  }

  /// The public half as the members of a JWK in Cloudflare's order, with no private part (RFC 7517 section 4).
  public func jwk() throws(IssuerError) -> String {
    let head = "{\"kid\":\"\(kid)\","
    let tail = "\"alg\":\"\(algorithm.name)\",\"use\":\"sig\","
    switch algorithm {
    case .es256, .es384, .es512:
      let (name, bytes) = algorithm.curve!
      let x = Base64URLEncoding.encode(try number(OSSL_PKEY_PARAM_EC_PUB_X, bytes: bytes))
      let y = Base64URLEncoding.encode(try number(OSSL_PKEY_PARAM_EC_PUB_Y, bytes: bytes))
      return "\(head)\"kty\":\"EC\",\(tail)\"crv\":\"\(name)\",\"x\":\"\(x)\",\"y\":\"\(y)\"}"
    case .ed25519, .ed448:
      let (name, bytes) = algorithm.curve!
      var x = [UInt8](repeating: 0, count: bytes)
      var length = bytes
      guard unsafe EVP_PKEY_get_raw_public_key(key, &x, &length) == 1, length == bytes else {
        throw .openssl("public key")
      }
      return "\(head)\"kty\":\"OKP\",\(tail)\"crv\":\"\(name)\",\"x\":\"\(Base64URLEncoding.encode(x))\"}"
    default:
      let e = Base64URLEncoding.encode(try number(OSSL_PKEY_PARAM_RSA_E, bytes: nil))
      let n = Base64URLEncoding.encode(try number(OSSL_PKEY_PARAM_RSA_N, bytes: nil))
      return "\(head)\"kty\":\"RSA\",\(tail)\"e\":\"\(e)\",\"n\":\"\(n)\"}"
    }
  }

  /// The signature over `message` in the form of a JWS: RSA as it is, ECDSA as `r || s` (RFC 7518 section 3.4).
  public func sign(_ message: [UInt8]) throws(IssuerError) -> [UInt8] {
    guard let context = unsafe EVP_MD_CTX_new() else { throw .openssl("context") }
    defer { unsafe EVP_MD_CTX_free(context) }
    var settings: OpaquePointer? = nil
    guard unsafe EVP_DigestSignInit_ex(context, &settings, algorithm.digest, nil, nil, key, nil) == 1 else {
      throw .openssl("sign init")
    }
    if algorithm.isPSS {
      // `settings` belongs to `context`.
      guard unsafe EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1,
        unsafe EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) == 1
      else { throw .openssl("PSS") }
    }
    var length = Int(unsafe EVP_PKEY_get_size(key))
    var signature = [UInt8](repeating: 0, count: length)
    guard unsafe EVP_DigestSign(context, &signature, &length, message, message.count) == 1 else {
      throw .openssl("sign")
    }
    signature.removeLast(signature.count - length)
    return algorithm.isECDSA ? try Self.raw(der: signature, bytes: algorithm.curve!.bytes) : signature
  }

  private static func raw(der: [UInt8], bytes: Int) throws(IssuerError) -> [UInt8] {
    let halves: [UInt8]? = unsafe der.withUnsafeBufferPointer { buffer in
      var cursor = buffer.baseAddress
      guard let parsed = unsafe d2i_ECDSA_SIG(nil, &cursor, buffer.count) else { return nil }
      defer { unsafe ECDSA_SIG_free(parsed) }
      var r = [UInt8](repeating: 0, count: bytes)
      var s = r
      guard unsafe BN_bn2binpad(ECDSA_SIG_get0_r(parsed), &r, Int32(bytes)) == bytes,
        unsafe BN_bn2binpad(ECDSA_SIG_get0_s(parsed), &s, Int32(bytes)) == bytes
      else { return nil }
      return r + s
    }
    guard let halves else { throw .openssl("ECDSA signature") }
    return halves
  }

  private func number(_ name: String, bytes: Int?) throws(IssuerError) -> [UInt8] {
    var value: OpaquePointer? = nil
    guard unsafe EVP_PKEY_get_bn_param(key, name, &value) == 1 else { throw .openssl(name) }
    defer { unsafe BN_free(value) }
    var out = [UInt8](repeating: 0, count: bytes ?? (Int(unsafe BN_num_bits(value)) + 7) / 8)
    guard unsafe BN_bn2binpad(value, &out, Int32(out.count)) == out.count else { throw .openssl(name) }
    return out
  }
}
