// The files of a certificate authority of one's own in a folder: made once, never written over.

import Glibc
import POSIX

/// Where `tls-selfsigned` has put what it made.
public struct SelfSignedFiles: Equatable, Sendable {
  /// The CA's certificate, for the proxies to trust. Mode 0644.
  public let authority: String
  /// The CA's key, for further certificates; keep it elsewhere. Mode 0600.
  public let authorityKey: String
  /// `tls_cert`. Mode 0644.
  public let certificate: String
  /// `tls_key`. Mode 0600.
  public let key: String

  /// The four paths in a folder.
  public init(in folder: String) {
    authority = "\(folder)/ca.pem"
    authorityKey = "\(folder)/ca-key.pem"
    certificate = "\(folder)/server.pem"
    key = "\(folder)/server-key.pem"
  }

  /// Makes an authority and a server's pair, and writes them. The folder is made where it is missing (mode 0755).
  ///
  /// - Parameters:
  ///   - names: what the proxies call the gateway; at least one.
  ///   - now: seconds since 1970.
  /// - Throws: the file that is there already or can't be written; what this call wrote before is taken away again.
  public func make(names: [ServerName], now: Int) throws(TLSFileError) {
    let contents: [(path: String, bytes: [UInt8], mode: mode_t)]
    do throws(SelfSignedError) {
      let issuer = try SelfSignedAuthority(name: "access-gateway CA", now: now)
      let server = try issuer.issueServer(names, now: now)
      contents = [
        (authorityKey, try issuer.root.keyPEM(), 0o600), (key, try server.keyPEM(), 0o600),
        (authority, try issuer.root.certificatePEM(), 0o644), (certificate, try server.certificatePEM(), 0o644),
      ]
    } catch { throw TLSFileError(path: certificate, reason: error.description) }
    let folder = String(authority.dropLast("/ca.pem".utf8.count))
    do throws(SystemError) { try Folder.make(folder, mode: 0o755) } catch { throw PEMFile.failure(folder, error) }
    var written: [String] = []
    for (path, bytes, mode) in contents {
      do throws(TLSFileError) {
        try Self.write(bytes, to: path, mode)
        written.append(path)
      } catch {
        for path in written { _ = unsafe unlink(path) }
        throw error
      }
    }
  }

  /// A new file, with the mode that it keeps from its first byte on.
  private static func write(_ bytes: [UInt8], to path: String, _ mode: mode_t) throws(TLSFileError) {
    do throws(SystemError) {
      let file = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
      do throws(SystemError) {
        try file.writeAll(bytes)
        try file.setMode(mode)
        try file.sync()
      } catch {
        _ = unsafe unlink(path)
        throw error
      }
    } catch {
      throw PEMFile.failure(path, error)
    }
  }
}
