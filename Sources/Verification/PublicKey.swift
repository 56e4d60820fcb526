// One public key in OpenSSL's hands: built from the numbers of a JWK, checked where OpenSSL checks, freed at the end.
// Size, exponent, use and algorithm are judged by others (JWKReader.swift); no signature is verified here.
//
// Invariant: `handle` is one reference to an EVP_PKEY that nobody changes after `init(takingOwnershipOf:)`; it is given
// back in `deinit`. Whoever wants it for longer than a call takes a reference of its own (EVP_PKEY_CTX_new does).

import COpenSSL

/// The owner of one `EVP_PKEY` that holds a public key.
// Safe to share: the key is never changed, and OpenSSL counts its references atomically (CRYPTO_UP_REF).
@safe struct PublicKey: ~Copyable, @unchecked Sendable {
  private let handle: OpaquePointer

  private init(takingOwnershipOf handle: OpaquePointer) { unsafe self.handle = handle }

  deinit { unsafe EVP_PKEY_free(handle) }

  /// Lends the pointer for the length of `body`.
  func withUnsafeHandle<Result>(_ body: (OpaquePointer) -> Result) -> Result { unsafe body(handle) }

  /// An RSA key of a modulus and an exponent, both big-endian. Nil when OpenSSL refuses them.
  static func rsa(modulus: [UInt8], exponent: [UInt8]) -> PublicKey? {
    guard let builder = unsafe OSSL_PARAM_BLD_new() else { return nil }
    defer { unsafe OSSL_PARAM_BLD_free(builder) }
    // The builder keeps pointers to both numbers until its parameters are made; they are freed after that.
    let n = unsafe BN_bin2bn(modulus, Int32(modulus.count), nil)
    defer { unsafe BN_free(n) }
    let e = unsafe BN_bin2bn(exponent, Int32(exponent.count), nil)
    defer { unsafe BN_free(e) }
    guard unsafe n != nil && e != nil,
      unsafe OSSL_PARAM_BLD_push_BN(builder, copenssl_name_rsa_n(), n) == 1,
      unsafe OSSL_PARAM_BLD_push_BN(builder, copenssl_name_rsa_e(), e) == 1
    else { return nil }
    guard let made = unsafe make("RSA", from: builder) else { return nil }
    return unsafe PublicKey(takingOwnershipOf: made)
  }

  /// An elliptic curve key of an affine point, coordinates big-endian and of the curve's full length. Nil when the
  /// point is not on the curve: a point elsewhere would be verified in a weaker group. OpenSSL looks when it
  /// takes the point and again in EVP_PKEY_public_check.
  static func ellipticCurve(group: String, x: [UInt8], y: [UInt8]) -> PublicKey? {
    guard let builder = unsafe OSSL_PARAM_BLD_new() else { return nil }
    defer { unsafe OSSL_PARAM_BLD_free(builder) }
    // SEC 1 section 2.3.3: 4, x, y. The builder copies neither; `point` and `name` outlive it in these closures.
    let point = [4] + x + y
    let made: OpaquePointer? = unsafe group.withCString { name in
      unsafe point.withUnsafeBufferPointer { bytes in
        guard unsafe OSSL_PARAM_BLD_push_utf8_string(builder, copenssl_name_group(), name, 0) == 1,
          unsafe OSSL_PARAM_BLD_push_octet_string(builder, copenssl_name_public_key(), bytes.baseAddress, bytes.count)
            == 1
        else { return nil }
        return unsafe make("EC", from: builder)
      }
    }
    guard let made = unsafe made else { return nil }
    let key = unsafe PublicKey(takingOwnershipOf: made)
    guard key.passesPublicCheck() else { return nil }
    return key
  }

  /// An Ed25519 or Ed448 key of its encoded point (RFC 8032 section 5.1.2, 5.2.2). Nil when the length is wrong;
  /// OpenSSL looks no further (EdwardsPoint.swift does).
  static func edwards(name: String, point: [UInt8]) -> PublicKey? {
    guard let key = unsafe EVP_PKEY_new_raw_public_key_ex(nil, name, nil, point, point.count) else { return nil }
    return unsafe PublicKey(takingOwnershipOf: key)
  }

  /// The SHA-256 of the key's SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): the same for the same key, however its
  /// JWK was written. Nil when OpenSSL can't encode it.
  func thumbprint() -> SHA256Digest? {
    let length = unsafe i2d_PUBKEY(handle, nil)
    guard length > 0 else { return nil }
    var encoded = [UInt8](repeating: 0, count: Int(length))
    // i2d writes `length` bytes, as it announced in the call before, and moves `cursor` behind them.
    let written = unsafe encoded.withUnsafeMutableBufferPointer { buffer in
      var cursor = buffer.baseAddress
      return unsafe i2d_PUBKEY(handle, &cursor)
    }
    return written == length ? SHA256Digest(of: encoded.span) : nil
  }

  private func passesPublicCheck() -> Bool {
    guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, handle, nil) else { return false }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    let verdict = unsafe EVP_PKEY_public_check(context)
    if verdict != 1 { ERR_clear_error() }
    return verdict == 1
  }

  /// One reference to a new key, which the caller owns.
  private static func make(_ type: String, from builder: OpaquePointer) -> OpaquePointer? {
    guard let parameters = unsafe OSSL_PARAM_BLD_to_param(builder) else { return nil }
    defer { unsafe OSSL_PARAM_free(parameters) }
    guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer? = nil
    guard unsafe EVP_PKEY_fromdata_init(context) == 1,
      unsafe copenssl_pkey_fromdata_public(context, &key, parameters) == 1, let key = unsafe key
    else {
      unsafe EVP_PKEY_free(key)
      ERR_clear_error()
      return nil
    }
    return unsafe key
  }
}
