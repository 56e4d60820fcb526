// Which files make a context, what is said of those that don't, and what tls-selfsigned makes.

import Glibc
import TLS
import Testing

@Suite struct TLSFileTests {
  private let folder = Folder()

  private func reason(_ settings: TLSServerSettings) -> TLSFileError? {
    do throws(TLSFileError) {
      _ = try TLSServerContext(settings)
      return nil
    } catch { return error }
  }

  @Test(arguments: [mode_t(0o604), 0o602, 0o644, 0o666])
  func `a key that others may read or write is refused`(mode: mode_t) {
    let files = selfSigned(folder)
    #expect(unsafe chmod(files.key, mode) == 0)
    let error = reason(settings(files))
    #expect(error?.path == files.key)
    #expect(error?.reason == "others may read or change it; its mode should be 0600 or 0640")
  }

  @Test(arguments: [mode_t(0o600), 0o640, 0o400])
  func `a key that the owner and a group may read is fine`(mode: mode_t) {
    let files = selfSigned(folder)
    #expect(unsafe chmod(files.key, mode) == 0)
    #expect(reason(settings(files)) == nil)
  }

  @Test func `a bad pair says which file and why`() throws {
    let files = selfSigned(folder)
    var settings = settings(files)
    settings.key = files.authorityKey
    #expect(
      reason(settings) == TLSFileError.at(files.authorityKey, "is not the key of the certificate, or too weak"))
    settings.key = "\(folder.path)/none.pem"
    #expect(reason(settings) == TLSFileError.at(settings.key, "No such file or directory"))
    settings.key = folder.path
    #expect(reason(settings) == TLSFileError.at(folder.path, "is no regular file"))
    settings.key = files.certificate
    #expect(reason(settings)?.path == files.certificate)
    settings.key = files.key
    settings.certificate = folder.write("other.pem", Array("nothing".utf8))
    #expect(reason(settings) == TLSFileError.at(settings.certificate, "holds no certificate"))
    settings.certificate = folder.write("other.pem", [])
    #expect(reason(settings) == TLSFileError.at(settings.certificate, "holds no certificate"))
    let broken = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    settings.certificate = folder.write("other.pem", Array(broken.utf8))
    #expect(reason(settings)?.path == settings.certificate)
    settings.certificate = files.certificate
    settings.clientCA = folder.write("other.pem", Array(broken.utf8))
    #expect(reason(settings)?.path == settings.clientCA)
    settings.key = folder.write("client-key.pem", Array(repeating: 0x20, count: 1 << 20 + 1))
    settings.clientCA = nil
    #expect(reason(settings) == TLSFileError.at(settings.key, "is larger than 1 MiB"))
  }

  @Test func `a chain may follow the certificate`() throws {
    let files = selfSigned(folder)
    let authority = try SelfSignedAuthority(name: "a", now: today)
    let server = try authority.issueServer([.dns("a")], now: today)
    var settings = settings(files)
    settings.certificate = folder.write("client.pem", try server.certificatePEM() + authority.root.certificatePEM())
    settings.key = folder.write("client-key.pem", try server.keyPEM())
    #expect(reason(settings) == nil)
  }

  @Test(arguments: [(0, 825), (86_399, 824), (86_400, 824), (825 * 86_400, 0), (825 * 86_400 + 1, -1)])
  func `the days left are whole days, and negative behind the end`(after: Int, days: Int) throws {
    let context = try TLSServerContext(settings(selfSigned(folder)))
    #expect(context.daysLeft(now: context.notAfter - 825 * 86_400 + after) == days)
  }

  @Test func `a change of a file is seen, also through a link`() throws {
    let files = selfSigned(folder)
    let link = "\(folder.path)/client.pem"
    #expect(unsafe symlink(files.certificate, link) == 0)
    var settings = settings(files)
    settings.certificate = link
    let before = settings.stamps
    #expect(settings.stamps == before)
    folder.write("server.pem", Array("x".utf8))
    #expect(settings.stamps != before)
    _ = unsafe unlink(files.certificate)
    #expect(settings.stamps[0] == nil)
  }

  @Test func `tls-selfsigned writes four files with their modes, and none over another`() throws {
    let files = selfSigned(folder)
    func mode(_ path: String) -> mode_t {
      var status = stat()
      #expect(unsafe stat(path, &status) == 0)
      return status.st_mode & 0o777
    }
    #expect([files.authority, files.certificate].map(mode) == [0o644, 0o644])
    #expect([files.authorityKey, files.key].map(mode) == [0o600, 0o600])
    #expect(throws: TLSFileError.self) { try files.make(names: [.dns("a")], now: today) }
    #expect(reason(settings(files)) == nil, "the files that were there are there still")
    _ = unsafe unlink(files.authorityKey)
    #expect(throws: TLSFileError.self) { try files.make(names: [.dns("a")], now: today) }
    #expect(unsafe access(files.authorityKey, F_OK) != 0, "what was written before the failure is gone")
  }

  @Test(arguments: ["a", "gateway.internal", "*.internal", "xn--bcher-kva.example", "A-1.b"])
  func `a dns name is one`(text: String) { #expect(ServerName(text) == .dns(text)) }

  @Test(arguments: ["127.0.0.1", "::1", "2001:db8::1"])
  func `an address is one`(text: String) { #expect(ServerName(text) == .address(text)) }

  @Test(arguments: ["", ".", "a..b", "a b", "a,DNS:b", "-a", "a-", "*", "a.*", "é", "a\n", "[::1]", "a_b"])
  func `what is neither is no name`(text: String) { #expect(ServerName(text) == nil) }

  @Test(arguments: ["", "dns:", "uri:", "cn:a", "DNS:a", "traefik"])
  func `a client name says its type`(text: String) { #expect(ClientName(text) == nil) }
}

extension TLSFileError {
  /// As it prints, since only TLS makes one.
  static func at(_ path: String, _ reason: String) -> TLSFileError { TLSFileError(path: path, reason: reason) }
}
