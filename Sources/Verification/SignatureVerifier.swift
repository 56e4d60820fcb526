// Does this key's signature cover these bytes? OpenSSL answers; this file asks it, with contexts that are reused.
// Which key and whether the token is acceptable otherwise is judged elsewhere (Judge.swift, JWKReader.swift).
//
// Invariants: the three digest contexts and every prepared context belong to this value alone and are freed exactly
// once, in `deinit` or when their key is forgotten; pointers into spans live for one C call; only the result 1 of
// OpenSSL means that the signature is good, so any error denies.

import COpenSSL
import Token

/// Verifies signatures for one thread.
///
/// Once a key was seen, a verification is a digest and one `EVP_PKEY_verify` with contexts that exist already, and no
/// allocation of Swift's.
@safe public struct SignatureVerifier: ~Copyable {
  // Safe to hold: it is only read and freed here, and never leaves this file.
  @safe private struct Prepared {
    let thumbprint: SHA256Digest
    let algorithm: Algorithm
    /// An `EVP_PKEY_CTX` that is set up to verify; for EdDSA an `EVP_MD_CTX`.
    let context: OpaquePointer
    var lastUse: UInt64
  }

  /// The most keys that contexts are kept for; beyond, the one that was not used for longest goes.
  public static let maximumKeys = 128

  private let sha256: OpaquePointer
  private let sha384: OpaquePointer
  private let sha512: OpaquePointer
  private var prepared: [Prepared] = []
  private var uses: UInt64 = 0

  /// Nil when OpenSSL lacks memory or one of the digests.
  public init?() {
    let sha256 = unsafe Self.digestContext("SHA256")
    let sha384 = unsafe Self.digestContext("SHA384")
    let sha512 = unsafe Self.digestContext("SHA512")
    guard let sha256 = unsafe sha256, let sha384 = unsafe sha384, let sha512 = unsafe sha512 else {
      unsafe EVP_MD_CTX_free(sha256)
      unsafe EVP_MD_CTX_free(sha384)
      unsafe EVP_MD_CTX_free(sha512)
      return nil
    }
    unsafe self.sha256 = sha256
    unsafe self.sha384 = sha384
    unsafe self.sha512 = sha512
    prepared.reserveCapacity(Self.maximumKeys)
  }

  deinit {
    unsafe EVP_MD_CTX_free(sha256)
    unsafe EVP_MD_CTX_free(sha384)
    unsafe EVP_MD_CTX_free(sha512)
    for entry in prepared { Self.free(entry) }
  }

  /// How many keys have contexts.
  public var keyCount: Int { prepared.count }

  /// Whether `signature`, in the form of a JWS, is `key`'s over `signingInput` (RFC 7515 section 5.2, step 8).
  ///
  /// RSASSA-PKCS1-v1_5 and RSASSA-PSS with MGF1 over the same hash and a salt as long as the hash (RFC 7518 sections 3.3
  /// and 3.5), ECDSA as `r || s` (section 3.4), EdDSA (RFC 8037 section 3.1). A signature of any other length than the
  /// key's is refused before OpenSSL sees it. False for anything that goes wrong.
  public mutating func verify(signingInput: Span<UInt8>, signature: Span<UInt8>, key: VerificationKey) -> Bool {
    guard signature.count == key.signatureLength, let place = context(for: key) else { return false }
    let context = unsafe prepared[place].context
    let good =
      switch key.algorithm {
      case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512:
        unsafe verify(signingInput, signature, key.algorithm.digest, context)
      case .es256, .es384, .es512: unsafe verifyECDSA(signingInput, signature, key.algorithm.digest, context)
      case .ed25519, .ed448: unsafe Self.verifyEdwards(signingInput, signature, context)
      }
    // Errors pile up in the thread's queue otherwise, and later calls would find them.
    if !good { ERR_clear_error() }
    return good
  }

  /// Gives up the contexts of keys that are in none of `sets`.
  public mutating func keep(only sets: [KeySet]) {
    var place = 0
    while place < prepared.count {
      let (thumbprint, algorithm) = (prepared[place].thumbprint, prepared[place].algorithm)
      let stays = sets.contains { set in
        set.keys.contains { $0.thumbprint == thumbprint && $0.algorithm == algorithm }
      }
      if stays {
        place += 1
      } else {
        Self.free(prepared.remove(at: place))
      }
    }
  }

  // MARK: - Verifying

  private func verify(
    _ message: Span<UInt8>, _ signature: Span<UInt8>, _ digest: Digest?, _ context: OpaquePointer
  ) -> Bool {
    guard let digest else { return false }
    let (running, length) =
      switch digest {
      case .sha256: unsafe (sha256, 32)
      case .sha384: unsafe (sha384, 48)
      case .sha512: unsafe (sha512, 64)
      }
    var hash = InlineArray<64, UInt8>(repeating: 0)
    var hashSpan = hash.mutableSpan
    // Three loans for the length of the calls: the hash has room for the longest digest, 64 bytes.
    return unsafe hashSpan.withUnsafeMutableBufferPointer { out in
      let digested = unsafe message.withUnsafeBufferPointer { bytes in
        unsafe EVP_DigestInit_ex2(running, nil, nil) == 1
          && EVP_DigestUpdate(running, bytes.baseAddress, bytes.count) == 1
          && EVP_DigestFinal_ex(running, out.baseAddress, nil) == 1
      }
      guard digested else { return false }
      return unsafe signature.withUnsafeBufferPointer { bytes in
        unsafe EVP_PKEY_verify(context, bytes.baseAddress, bytes.count, out.baseAddress, length) == 1
      }
    }
  }

  private func verifyECDSA(
    _ message: Span<UInt8>, _ signature: Span<UInt8>, _ digest: Digest?, _ context: OpaquePointer
  ) -> Bool {
    guard let encoded = DERSignature(raw: signature) else { return false }
    return unsafe verify(message, encoded.bytes.span.extracting(0..<encoded.count), digest, context)
  }

  private static func verifyEdwards(
    _ message: Span<UInt8>, _ signature: Span<UInt8>, _ context: OpaquePointer
  ) -> Bool {
    // The key is in the context already; nil keeps it and starts anew. Both spans are lent for the call.
    unsafe message.withUnsafeBufferPointer { bytes in
      unsafe signature.withUnsafeBufferPointer { signed in
        unsafe EVP_DigestVerifyInit_ex(context, nil, nil, nil, nil, nil, nil) == 1
          && EVP_DigestVerify(context, signed.baseAddress, signed.count, bytes.baseAddress, bytes.count) == 1
      }
    }
  }

  // MARK: - Contexts

  /// Where in `prepared` the key's context is; it is made where there is none. Found by the key's material, so that a
  /// new key set with the same keys finds it too.
  private mutating func context(for key: VerificationKey) -> Int? {
    uses += 1
    for place in prepared.indices {
      let same = prepared[place].thumbprint == key.thumbprint && prepared[place].algorithm == key.algorithm
      if same {
        prepared[place].lastUse = uses
        return place
      }
    }
    guard let context = unsafe Self.makeContext(for: key) else {
      ERR_clear_error()
      return nil
    }
    if prepared.count == Self.maximumKeys {
      var oldest = 0
      for place in prepared.indices {
        let isOlder = prepared[place].lastUse < prepared[oldest].lastUse
        if isOlder { oldest = place }
      }
      Self.free(prepared.remove(at: oldest))
    }
    unsafe prepared.append(
      Prepared(thumbprint: key.thumbprint, algorithm: key.algorithm, context: context, lastUse: uses))
    return prepared.count - 1
  }

  /// A context that holds a reference to the key of its own, so it may outlive the `VerificationKey`.
  private static func makeContext(for key: VerificationKey) -> OpaquePointer? {
    unsafe key.publicKey.withUnsafeHandle { handle in
      switch key.algorithm {
      case .ed25519, .ed448:
        guard let context = unsafe EVP_MD_CTX_new() else { return nil }
        if unsafe EVP_DigestVerifyInit_ex(context, nil, nil, nil, nil, handle, nil) == 1 { return unsafe context }
        unsafe EVP_MD_CTX_free(context)
        return nil
      default:
        guard let context = unsafe EVP_PKEY_CTX_new_from_pkey(nil, handle, nil) else { return nil }
        if unsafe setUp(context, key.algorithm) { return unsafe context }
        unsafe EVP_PKEY_CTX_free(context)
        return nil
      }
    }
  }

  private static func setUp(_ context: OpaquePointer, _ algorithm: Algorithm) -> Bool {
    // EVP_sha…() name OpenSSL's constant digests; they need no freeing.
    let digest: OpaquePointer? =
      switch algorithm.digest {
      case .sha256: unsafe EVP_sha256()
      case .sha384: unsafe EVP_sha384()
      case .sha512: unsafe EVP_sha512()
      case nil: nil
      }
    guard unsafe digest != nil, unsafe EVP_PKEY_verify_init(context) == 1 else { return false }
    switch algorithm {
    case .rs256, .rs384, .rs512:
      return unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1
        && EVP_PKEY_CTX_set_signature_md(context, digest) == 1
    case .ps256, .ps384, .ps512:
      // MGF1 and salt are named outright: by default OpenSSL takes any salt length when it verifies.
      return unsafe EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_signature_md(context, digest) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1
    case .es256, .es384, .es512: return unsafe EVP_PKEY_CTX_set_signature_md(context, digest) == 1
    case .ed25519, .ed448: return false
    }
  }

  private static func digestContext(_ name: String) -> OpaquePointer? {
    guard let digest = unsafe EVP_MD_fetch(nil, name, nil) else { return nil }
    // The context takes a reference to the digest of its own.
    defer { unsafe EVP_MD_free(digest) }
    guard let context = unsafe EVP_MD_CTX_new() else { return nil }
    if unsafe EVP_DigestInit_ex2(context, digest, nil) == 1 { return unsafe context }
    unsafe EVP_MD_CTX_free(context)
    return nil
  }

  private static func free(_ entry: Prepared) {
    switch entry.algorithm {
    case .ed25519, .ed448: unsafe EVP_MD_CTX_free(entry.context)
    default: unsafe EVP_PKEY_CTX_free(entry.context)
    }
  }
}
