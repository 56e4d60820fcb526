// How the server shows who it is, and whom it lets in: one immutable SSL_CTX. A new certificate is a new context: connections
// of the old one go on with it. There is no switch that turns a check off.
//
// Invariant: `context` is one SSL_CTX, made in `init` and freed in `deinit`, and changed in between by nobody. OpenSSL keeps
// an unretained pointer to this object for the check of clients; each TLSServerConnection retains it.

import POSIX
import COpenSSL
import Glibc

/// The settings of TLS on `listen`. Paths are of PEM files.
public struct TLSServerSettings: Equatable, Sendable {
  /// The server's certificate, and those of intermediate CAs behind it, in their order.
  public var certificate: String
  /// Its private key, RSA or ECDSA, not encrypted. Others must not be able to read the file.
  public var key: String
  /// CAs of which a client must show a certificate; nil: everybody may ask.
  public var clientCA: String?
  /// With `clientCA`: the names of which the client's certificate must have one. Empty: any.
  public var clientNames: [ClientName]
  /// Whether HTTP/2 is offered (ALPN `h2`), before `http/1.1`.
  public var offersHTTP2: Bool

  /// TLS for everybody with HTTP/2, unless said otherwise.
  public init(
    certificate: String, key: String, clientCA: String? = nil, clientNames: [ClientName] = [], offersHTTP2: Bool = true
  ) {
    self.certificate = certificate
    self.key = key
    self.clientCA = clientCA
    self.clientNames = clientNames
    self.offersHTTP2 = offersHTTP2
  }

  /// The state of the files, to be compared later: nil for one that can't be seen.
  package var stamps: [FileMark?] { [certificate, key, clientCA ?? certificate].map { FileMark($0) } }
}

/// What all connections of a TLS listener share: TLS 1.2 and 1.3, ECDHE with AEAD suites (RFC 9113, section 9.2, and RFC
/// 7525), no tickets, no session cache, no renegotiation: a session that is resumed would skip the check of the client.
///
/// Immutable; any thread may use it.
// Safe to share: an SSL_CTX that nobody changes may be used by all threads, and its references are counted atomically.
@safe public final class TLSServerContext: @unchecked Sendable {
  let context: OpaquePointer
  private let clientNames: Set<ClientName>
  /// When the server's certificate ends, in seconds since 1970.
  public let notAfter: Int

  /// Reads the files. Whatever is wrong with one of them throws, and a caller keeps the context that it has.
  public init(_ settings: TLSServerSettings) throws(TLSFileError) {
    ERR_clear_error()
    let chain = try PEMFile.read(settings.certificate, isSecret: false)
    let key = try PEMFile.read(settings.key, isSecret: true)
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
      throw TLSFileError(path: settings.certificate, reason: PEMFile.lastReason())
    }
    do throws(TLSFileError) {
      unsafe try Self.restrict(context, settings)
      unsafe try Self.use(chain: chain, settings.certificate, context)
      unsafe try Self.use(key: key, settings.key, context)
      if let path = settings.clientCA { unsafe try Self.use(clientCA: path, context) }
      notAfter = unsafe try Self.end(of: SSL_CTX_get0_certificate(context), settings.certificate)
    } catch {
      unsafe SSL_CTX_free(context)
      throw error
    }
    unsafe self.context = unsafe context
    clientNames = Set(settings.clientNames)
    if settings.clientCA != nil {
      unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
      unsafe SSL_CTX_set_cert_verify_callback(
        context,
        { store, user in
          unsafe Unmanaged<TLSServerContext>.fromOpaque(user!)._withUnsafeGuaranteedRef { unsafe $0.admits(store!) }
            ? 1 : 0
        }, Unmanaged.passUnretained(self).toOpaque())
    }
  }

  deinit { unsafe SSL_CTX_free(context) }

  /// Whole days until the certificate ends, rounded down; negative when it has ended.
  public func daysLeft(now: Int) -> Int {
    let seconds = notAfter - now
    return seconds >= 0 ? seconds / 86_400 : -((86_399 - seconds) / 86_400)
  }

  /// The check of a client's certificate: OpenSSL's (chain, time, purpose), then its names.
  private func admits(_ store: OpaquePointer) -> Bool {
    guard unsafe X509_verify_cert(store) == 1 else { return false }
    guard !clientNames.isEmpty else { return true }
    guard let certificate = unsafe X509_STORE_CTX_get0_cert(store),
      unsafe ClientName.all(of: certificate).contains(where: clientNames.contains)
    else {
      unsafe X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH)
      return false
    }
    return true
  }

  // MARK: - Making

  private static func restrict(_ context: OpaquePointer, _ settings: TLSServerSettings) throws(TLSFileError) {
    guard unsafe copenssl_ctx_require_tls12(context) == 1,
      unsafe SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1,
      unsafe SSL_CTX_set_num_tickets(context, 0) == 1
    else { throw TLSFileError(path: settings.certificate, reason: PEMFile.lastReason()) }
    unsafe copenssl_ctx_refuse_resumption(context)
    unsafe copenssl_ctx_forget_sessions(context)
    unsafe copenssl_ctx_set_modes(context)
    if settings.offersHTTP2 {
      unsafe SSL_CTX_set_alpn_select_cb(
        context,
        { _, out, count, offer, length, _ in unsafe select("\u{2}h2\u{8}http/1.1", out, count, offer, length) },
        nil)
    } else {
      unsafe SSL_CTX_set_alpn_select_cb(
        context, { _, out, count, offer, length, _ in unsafe select("\u{8}http/1.1", out, count, offer, length) }, nil)
    }
  }

  private static func use(chain: [UInt8], _ path: String, _ context: OpaquePointer) throws(TLSFileError) {
    let certificates = unsafe try certificates(chain, path)
    defer { for index in unsafe certificates.indices { unsafe X509_free(certificates[index]) } }
    guard unsafe SSL_CTX_use_certificate(context, certificates[0]) == 1 else {
      throw TLSFileError(path: path, reason: PEMFile.lastReason())
    }
    for index in unsafe certificates.indices.dropFirst() {
      guard unsafe copenssl_ctx_add_chain(context, certificates[index]) == 1 else {
        throw TLSFileError(path: path, reason: PEMFile.lastReason())
      }
    }
  }

  /// The certificates of a PEM text, at least one; the caller frees them.
  private static func certificates(_ pem: [UInt8], _ path: String) throws(TLSFileError) -> [OpaquePointer] {
    var found: [OpaquePointer] = unsafe []
    var isWhole = true
    unsafe pem.withUnsafeBytes { bytes in
      // The BIO reads from `pem`, which outlives it.
      guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return }
      defer { unsafe BIO_free(bio) }
      while let certificate = unsafe PEM_read_bio_X509(bio, nil, refusePassphrase, nil) {
        unsafe found.append(certificate)
      }
      // The end of the text is no error; a broken certificate is.
      let code = ERR_peek_last_error()
      isWhole = code == 0 || copenssl_is_end_of_pem(code) == 1
    }
    defer { ERR_clear_error() }
    guard isWhole, unsafe !found.isEmpty else {
      for index in unsafe found.indices { unsafe X509_free(found[index]) }
      throw TLSFileError(path: path, reason: isWhole ? "holds no certificate" : PEMFile.lastReason())
    }
    return unsafe found
  }

  private static func use(key pem: [UInt8], _ path: String, _ context: OpaquePointer) throws(TLSFileError) {
    let key: OpaquePointer? = unsafe pem.withUnsafeBytes { bytes in
      guard let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count)) else { return nil }
      defer { unsafe BIO_free(bio) }
      return unsafe PEM_read_bio_PrivateKey(bio, nil, refusePassphrase, nil)
    }
    guard let key = unsafe key else {
      ERR_clear_error()
      throw TLSFileError(path: path, reason: "holds no private key, or one that is encrypted")
    }
    defer { unsafe EVP_PKEY_free(key) }
    guard unsafe EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "EC") == 1 else {
      throw TLSFileError(path: path, reason: "is no RSA or ECDSA key")
    }
    guard unsafe SSL_CTX_use_PrivateKey(context, key) == 1, unsafe SSL_CTX_check_private_key(context) == 1 else {
      ERR_clear_error()
      throw TLSFileError(path: path, reason: "is not the key of the certificate, or too weak")
    }
  }

  private static func use(clientCA path: String, _ context: OpaquePointer) throws(TLSFileError) {
    let authorities = unsafe try certificates(try PEMFile.read(path, isSecret: false), path)
    defer { for index in unsafe authorities.indices { unsafe X509_free(authorities[index]) } }
    let store = unsafe SSL_CTX_get_cert_store(context)
    for index in unsafe authorities.indices {
      // Both take references of their own.
      guard unsafe X509_STORE_add_cert(store, authorities[index]) == 1,
        unsafe SSL_CTX_add_client_CA(context, authorities[index]) == 1
      else { throw TLSFileError(path: path, reason: PEMFile.lastReason()) }
    }
  }

  private static func end(of certificate: OpaquePointer?, _ path: String) throws(TLSFileError) -> Int {
    var parts = unsafe tm()
    guard unsafe ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) == 1 else {
      throw TLSFileError(path: path, reason: "the end of its validity can't be read")
    }
    return unsafe timegm(&parts)
  }
}

/// The first protocol of `ours` that the client offers too; none is an alert (RFC 7301, section 3.2). A free function,
/// because a C callback captures nothing.
private func select(
  _ ours: StaticString, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ count: UnsafeMutablePointer<UInt8>?,
  _ offer: UnsafePointer<UInt8>?, _ length: UInt32
) -> Int32 {
  var chosen: UnsafeMutablePointer<UInt8>?
  let verdict = unsafe SSL_select_next_proto(
    &chosen, count, ours.utf8Start, UInt32(ours.utf8CodeUnitCount), offer, length)
  guard verdict == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
  unsafe out!.pointee = unsafe UnsafePointer(chosen)
  return SSL_TLSEXT_ERR_OK
}

/// Without it OpenSSL would ask a terminal for a passphrase.
private func refusePassphrase(
  _: UnsafeMutablePointer<CChar>?, _: Int32, _: Int32, _: UnsafeMutableRawPointer?
) -> Int32 { -1 }
