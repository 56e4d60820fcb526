// TLS for a client that must know whom it talks to: TLS 1.2 or later, the chain verified against the system's CAs (or
// a file), the host name checked. There is no switch that turns any of it off.

import CEvent
import COpenSSL
import EventLoops
import Glibc
import POSIX

/// A context for one fetch; the CAs are read from disk each time, so that an update of them is seen.
@safe final class TLSContext {
  private let context: OpaquePointer

  /// - Parameter caFile: PEM certificates to trust in place of the system's; nil: the system's (or `SSL_CERT_FILE`).
  init(caFile: String?) throws(FetchFailure) {
    // What an earlier fetch left in the thread's queue would be taken for this one's (SSL_get_error(3)).
    ERR_clear_error()
    guard let context = unsafe SSL_CTX_new(TLS_client_method()) else { throw .tls(TLSContext.lastError()) }
    unsafe self.context = unsafe context
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    // A handshake that the server asks for anew is work that nobody needs.
    unsafe copenssl_ctx_refuse_renegotiation(context)
    if let caFile {
      guard unsafe SSL_CTX_load_verify_locations(context, caFile, nil) == 1 else {
        throw .tls("can't read certificates from \(caFile): \(TLSContext.lastError())")
      }
    } else {
      guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else { throw .tls(TLSContext.lastError()) }
    }
    guard unsafe copenssl_ctx_require_tls12(context) == 1 else { throw .tls(TLSContext.lastError()) }
  }

  deinit { unsafe SSL_CTX_free(context) }

  /// A client session that will accept `host`'s certificate only. The caller owns it.
  func session(for host: String) throws(FetchFailure) -> OpaquePointer {
    guard let session = unsafe SSL_new(context) else { throw .tls(TLSContext.lastError()) }
    var address = in6_addr()
    let isAddress = unsafe inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
    // RFC 9525 sections 6.3 and 6.4: names are those of subjectAltName alone, and a wildcard is a whole label.
    unsafe SSL_set_hostflags(
      session, UInt32(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    let prepared =
      if isAddress {
        unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1
      } else {
        unsafe SSL_set1_host(session, host) == 1 && copenssl_set_sni(session, host) == 1
      }
    guard prepared else {
      unsafe SSL_free(session)
      throw .tls("can't check the name \(host)")
    }
    return unsafe session
  }

  /// Why a session's handshake failed, in OpenSSL's words.
  static func failure(of session: OpaquePointer?, code: UInt) -> String {
    if let session = unsafe session {
      let verdict = unsafe SSL_get_verify_result(session)
      if verdict != Int(X509_V_OK) { return unsafe String(cString: X509_verify_cert_error_string(verdict)) }
    }
    return text(of: code) ?? "the peer ended the handshake"
  }

  private static func lastError() -> String { text(of: ERR_get_error()) ?? "OpenSSL gives no reason" }

  /// OpenSSL's words for one of its codes, or the system's where it is a call that failed; nil where there are none.
  private static func text(of code: UInt) -> String? {
    if let number = Int32(exactly: copenssl_system_error(code)), number != 0 {
      return unsafe strerror(number).map { unsafe String(cString: $0) }
    }
    guard code != 0, let words = unsafe ERR_reason_error_string(code) else { return nil }
    return unsafe String(cString: words)
  }
}
