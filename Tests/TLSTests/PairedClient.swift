// A TLS client of OpenSSL's and a TLSServerConnection, on the two ends of a socketpair, in one thread.

import POSIX
import COpenSSL
import Glibc
import TLS

/// A folder that goes with the object.
final class Folder {
  let path: String

  init() {
    var template = Array("/tmp/tls-tests-XXXXXX".utf8CString)
    precondition(unsafe mkdtemp(&template) != nil)
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in ["ca.pem", "ca-key.pem", "server.pem", "server-key.pem", "other.pem", "client.pem", "client-key.pem"] {
      _ = unsafe unlink("\(path)/\(name)")
    }
    unsafe rmdir(path)
  }

  @discardableResult
  func write(_ name: String, _ bytes: [UInt8], mode: mode_t = 0o600) -> String {
    let file = "\(path)/\(name)"
    let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC, mode)
    precondition(unsafe descriptor >= 0 && Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    precondition(fchmod(descriptor, mode) == 0)
    close(descriptor)
    return file
  }
}

let today = time(nil)

/// An authority and a server's pair in files, as `tls-selfsigned` makes them; once a folder.
func selfSigned(_ folder: Folder) -> SelfSignedFiles {
  let files = SelfSignedFiles(in: folder.path)
  guard FileMark(files.key) == nil else { return files }
  do { try files.make(names: [.dns("gateway.internal"), .address("127.0.0.1")], now: today) } catch {
    preconditionFailure("\(error)")
  }
  return files
}

func settings(_ files: SelfSignedFiles) -> TLSServerSettings {
  TLSServerSettings(certificate: files.certificate, key: files.key)
}

/// What a client does that is not usual.
struct ClientBehaviour {
  var lowest = TLS1_2_VERSION
  var highest = TLS1_3_VERSION
  var ciphers: String?
  /// ALPN's list; nil: none is offered.
  var protocols: [String]? = ["h2", "http/1.1"]
  var authority: String?
  var certificate: IssuedCertificate?
  /// The name that the server's certificate must have.
  var host: String?
}

@safe struct PairedClient: ~Copyable {
  let context: OpaquePointer
  let session: OpaquePointer
  let descriptor: Int32
  let serverDescriptor: Int32
  var server: TLSServerConnection

  init(_ serverContext: TLSServerContext, _ behaviour: ClientBehaviour = ClientBehaviour()) {
    _ = signal(SIGPIPE, SIG_IGN)
    var pair: [Int32] = [0, 0]
    precondition(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0)
    descriptor = pair[0]
    serverDescriptor = pair[1]
    server = TLSServerConnection(serverContext, descriptor: pair[1])!
    let context = unsafe SSL_CTX_new(TLS_client_method())!
    unsafe self.context = unsafe context
    precondition(
      unsafe copenssl_ctx_limit_version(context, Int32(behaviour.lowest), Int32(behaviour.highest)) == 1)
    // Old versions need it (OpenSSL 3 refuses SHA-1 above level 0): the server must be what refuses them.
    unsafe SSL_CTX_set_security_level(context, 0)
    if let ciphers = behaviour.ciphers { precondition(unsafe SSL_CTX_set_cipher_list(context, ciphers) == 1) }
    if let authority = behaviour.authority {
      precondition(unsafe SSL_CTX_load_verify_locations(context, authority, nil) == 1)
      unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
    }
    if let certificate = behaviour.certificate {
      do {
        unsafe try Self.use(certificate.certificatePEM() + certificate.keyPEM(), context)
      } catch { preconditionFailure("\(error)") }
    }
    let session = unsafe SSL_new(context)!
    unsafe self.session = unsafe session
    unsafe SSL_set_fd(session, descriptor)
    if let host = behaviour.host { precondition(unsafe SSL_set1_host(session, host) == 1) }
    if let protocols = behaviour.protocols {
      let list = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
      precondition(unsafe SSL_set_alpn_protos(session, list, UInt32(list.count)) == 0)
    }
  }

  private static func use(_ pem: [UInt8], _ context: OpaquePointer) {
    unsafe pem.withUnsafeBytes { bytes in
      let bio = unsafe BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
      defer { unsafe BIO_free(bio) }
      let certificate = unsafe PEM_read_bio_X509(bio, nil, nil, nil)
      let key = unsafe PEM_read_bio_PrivateKey(bio, nil, nil, nil)
      precondition(
        unsafe SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1)
      unsafe X509_free(certificate)
      unsafe EVP_PKEY_free(key)
    }
  }

  deinit {
    unsafe SSL_free(session)
    unsafe SSL_CTX_free(context)
    close(descriptor)
    close(serverDescriptor)
  }

  /// Both sides take turns until neither gets on. Tells the server's last step, and whether the client is content.
  mutating func shakeHands() -> (server: TLSStep, client: Bool) {
    var client = false
    var step = TLSStep.wantsRead
    for _ in 0..<8 {
      ERR_clear_error()
      if !client { client = unsafe SSL_do_handshake(withClientState()) == 1 }
      if step == .wantsRead || step == .wantsWrite { step = server.handshake() }
    }
    ERR_clear_error()
    return (step, client)
  }

  private func withClientState() -> OpaquePointer {
    if unsafe SSL_in_before(session) == 1 { unsafe SSL_set_connect_state(session) }
    return unsafe session
  }

  /// What the client's SSL_write says of so many bytes.
  func send(_ bytes: [UInt8]) -> Int32 {
    ERR_clear_error()
    return unsafe SSL_write(session, bytes, Int32(bytes.count))
  }

  mutating func read() -> (step: TLSStep, bytes: [UInt8]) {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    let step = unsafe buffer.withUnsafeMutableBytes { unsafe server.read(into: $0) }
    guard case .bytes(let count) = step else { return (step, []) }
    return (step, Array(buffer[..<count]))
  }

  /// What the client gets; nil where nothing is here.
  func receive() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    ERR_clear_error()
    let count = unsafe SSL_read(session, &buffer, Int32(buffer.count))
    return count > 0 ? Array(buffer[..<Int(count)]) : nil
  }
}
