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
    let loaded =
      if let caFile {
        unsafe SSL_CTX_load_verify_locations(context, caFile, nil)
      } else {
        unsafe SSL_CTX_set_default_verify_paths(context)
      }
    guard loaded == 1, unsafe copenssl_ctx_require_tls12(context) == 1 else { throw .tls(TLSContext.lastError()) }
  }

  deinit { unsafe SSL_CTX_free(context) }

  /// A client session that will accept `host`'s certificate only. The caller owns it.
  func session(for host: String) throws(FetchFailure) -> OpaquePointer {
    guard let session = unsafe SSL_new(context) else { throw .tls(TLSContext.lastError()) }
    var address = in6_addr()
    let isAddress = unsafe inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
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
    guard code != 0, let words = unsafe ERR_reason_error_string(code) else { return "the peer ended the handshake" }
    return unsafe String(cString: words)
  }

  private static func lastError() -> String { unsafe failure(of: nil, code: ERR_get_error()) }
}
