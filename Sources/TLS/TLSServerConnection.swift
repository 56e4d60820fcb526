// One TLS connection of a client, on its descriptor: handshake, bytes in, bytes out, end. It never waits: a step that can't
// go on says what for.
//
// Invariant: `session` is one SSL, made in `init` and freed in `deinit`, used on one thread. After a failure nothing is asked
// of it any more: OpenSSL forbids even a shutdown then.

import COpenSSL
import Glibc

/// How a step of a connection ended.
public enum TLSStep: Equatable, Sendable {
  /// The handshake, or the shutdown, is done.
  case done
  /// So many bytes were read or written, at least one.
  case bytes(Int)
  /// Call again when the descriptor can be read.
  case wantsRead
  /// Call again when the descriptor can be written.
  case wantsWrite
  /// The client has closed its side, or the socket.
  case ended
  /// It is over: close the descriptor. In words for the log; nothing that the client sent.
  case failed(String)
}

/// The server's side of a connection. The descriptor stays the caller's, is non-blocking, and is closed by it.
///
/// SIGPIPE must be ignored in the process: OpenSSL writes with write(2).
@safe public struct TLSServerConnection: ~Copyable {
  private let session: OpaquePointer
  /// OpenSSL's check of the client asks this object.
  private let context: TLSServerContext
  private var hasFailed = false

  /// Nil where there is no memory.
  public init?(_ context: TLSServerContext, descriptor: Int32) {
    ERR_clear_error()
    guard let session = unsafe SSL_new(context.context) else { return nil }
    guard unsafe SSL_set_fd(session, descriptor) == 1 else {
      unsafe SSL_free(session)
      return nil
    }
    unsafe SSL_set_accept_state(session)
    unsafe self.session = unsafe session
    self.context = context
  }

  deinit { unsafe SSL_free(session) }

  /// Goes on with the handshake. `.done` once client and server have agreed, and the client's certificate is good where one
  /// is asked for: nothing of a request is read before.
  public mutating func handshake() -> TLSStep { unsafe step { unsafe SSL_do_handshake($0) == 1 ? .done : nil } }

  /// Reads what the client has sent. After `.bytes`, ask again until it wants something: the kernel does not tell of bytes
  /// that OpenSSL has already.
  public mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> TLSStep {
    unsafe step { session in
      var count = 0
      return unsafe SSL_read_ex(session, buffer.baseAddress, buffer.count, &count) == 1 ? .bytes(count) : nil
    }
  }

  /// Writes bytes, perhaps not all of them. After `.wantsRead` or `.wantsWrite` the same bytes must come first again; they
  /// may lie elsewhere.
  public mutating func write(_ bytes: Span<UInt8>) -> TLSStep {
    guard !bytes.isEmpty else { return .bytes(0) }
    return unsafe step { session in
      var count = 0
      let result = unsafe bytes.withUnsafeBytes { unsafe SSL_write_ex(session, $0.baseAddress, $0.count, &count) }
      return result == 1 ? .bytes(count) : nil
    }
  }

  /// Tells the client that nothing more will come (close_notify). Does not wait for its answer.
  public mutating func shutdown() -> TLSStep { unsafe step { unsafe SSL_shutdown($0) >= 0 ? .done : nil } }

  /// Bytes that were received and not read yet.
  public var hasPendingBytes: Bool { unsafe SSL_has_pending(session) == 1 }

  /// Whether the client and the server have agreed on HTTP/2 (ALPN `h2`); else it is HTTP/1.1.
  public var speaksHTTP2: Bool {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(session, &name, &count)
    return unsafe count == 2 && name![0] == UInt8(ascii: "h") && name![1] == UInt8(ascii: "2")
  }

  /// The version agreed on, such as `TLSv1.3`.
  public var version: String { unsafe String(cString: SSL_get_version(session)) }

  private mutating func step(_ call: (OpaquePointer) -> TLSStep?) -> TLSStep {
    guard !hasFailed else { return .failed("the connection has failed before") }
    // What an earlier call left in the thread's queue would be taken for this one's (SSL_get_error(3)).
    ERR_clear_error()
    errno = 0
    if let good = unsafe call(session) { return good }
    let systemError = errno
    switch unsafe SSL_get_error(session, 0) {
    case SSL_ERROR_WANT_READ: return .wantsRead
    case SSL_ERROR_WANT_WRITE: return .wantsWrite
    case SSL_ERROR_ZERO_RETURN: return .ended
    case SSL_ERROR_SYSCALL:
      hasFailed = true
      // The client has gone without a word, as many do.
      guard systemError != 0, systemError != ECONNRESET, systemError != EPIPE else { return .ended }
      return .failed(unsafe String(cString: strerror(systemError)))
    default:
      hasFailed = true
      return .failed(reason())
    }
  }

  private func reason() -> String {
    let code = ERR_peek_error()
    defer { ERR_clear_error() }
    if copenssl_is_unexpected_end(code) == 1 { return "the client closed without a close_notify" }
    let verdict = unsafe SSL_get_verify_result(session)
    if verdict != Int(X509_V_OK) {
      return unsafe "client certificate: " + String(cString: X509_verify_cert_error_string(verdict))
    }
    guard code != 0, let words = unsafe ERR_reason_error_string(code) else { return "TLS failed" }
    return unsafe String(cString: words)
  }
}
