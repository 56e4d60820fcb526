// A certificate authority of one's own and what it issues, for people who have none. EC P-256 throughout. Names and times are
// given; randomness is OpenSSL's. Files are SelfSignedFiles.swift.
//
// Invariant: each OpenSSL object belongs to one Swift object, which frees it, or lives inside one function.

import COpenSSL
import Glibc

/// A name that a server is reached by, as a certificate says it. The text is checked, because OpenSSL takes a list of them as
/// one text with commas.
public enum ServerName: Equatable, Sendable {
  /// Letters, digits, `-` and dots; `*.` may stand first.
  case dns(String)
  /// An IPv4 or IPv6 address.
  case address(String)

  /// Nil for what is neither.
  public init?(_ text: String) {
    var buffer = in6_addr()
    if unsafe inet_pton(AF_INET, text, &buffer) == 1 || inet_pton(AF_INET6, text, &buffer) == 1 {
      self = .address(text)
      return
    }
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= 253, !labels.isEmpty else { return nil }
    for (place, label) in labels.enumerated() {
      if place == 0, label == "*", labels.count > 1 { continue }
      guard 1...63 ~= label.utf8.count, !label.hasPrefix("-"), !label.hasSuffix("-"),
        label.utf8.allSatisfy({ ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == 0x2D })
      else { return nil }
    }
    self = .dns(text)
  }

  var extensionText: String {
    switch self {
    case .dns(let name): "DNS:\(name)"
    case .address(let address): "IP:\(address)"
    }
  }
}

/// Why nothing was made: the step that OpenSSL refused.
public struct SelfSignedError: Error, Equatable, Sendable, CustomStringConvertible {
  public let description: String
}

/// A certificate with its private key.
@safe public final class IssuedCertificate {
  fileprivate let certificate: OpaquePointer
  fileprivate let key: OpaquePointer

  fileprivate init(takingOwnershipOf certificate: OpaquePointer, key: OpaquePointer) {
    unsafe self.certificate = unsafe certificate
    unsafe self.key = unsafe key
  }

  deinit {
    unsafe X509_free(certificate)
    unsafe EVP_PKEY_free(key)
  }

  /// The certificate as PEM.
  public func certificatePEM() throws(SelfSignedError) -> [UInt8] {
    unsafe try pem("certificate") { bio in unsafe PEM_write_bio_X509(bio, certificate) }
  }

  /// PKCS #8 in PEM, not encrypted: who reads it is the server.
  public func keyPEM() throws(SelfSignedError) -> [UInt8] {
    unsafe try pem("key") { bio in unsafe PEM_write_bio_PrivateKey(bio, key, nil, nil, 0, nil, nil) }
  }

  private func pem(_ what: String, _ write: (OpaquePointer) -> Int32) throws(SelfSignedError) -> [UInt8] {
    guard let bio = unsafe BIO_new(BIO_s_mem()) else { throw SelfSignedError(description: "no memory") }
    defer { unsafe BIO_free(bio) }
    guard unsafe write(bio) == 1 else { throw SelfSignedError(description: "the \(what) can't be written as PEM") }
    var start: UnsafeMutablePointer<CChar>? = nil
    let count = unsafe copenssl_bio_bytes(bio, &start)
    // The BIO owns `count` bytes at `start` until it is freed; they are copied first.
    return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
  }
}

/// A certificate authority, fresh from the system's randomness.
public struct SelfSignedAuthority {
  /// Its own certificate and key.
  public let root: IssuedCertificate

  /// - Parameters:
  ///   - name: its common name; at most 64 bytes.
  ///   - now: seconds since 1970. It is valid from an hour before, because clocks differ, for `days`.
  public init(name: String, now: Int, days: Int = 3650) throws(SelfSignedError) {
    root = try Self.make(
      name, issuer: nil, now: now, days: days,
      extensions: [
        (NID_basic_constraints, "critical,CA:TRUE,pathlen:0"), (NID_key_usage, "critical,keyCertSign,cRLSign"),
        (NID_subject_key_identifier, "hash"),
      ])
  }

  /// A server's certificate for all of `names`, at least one (RFC 5280, section 4.2.1.6; common names do not count).
  public func issueServer(_ names: [ServerName], now: Int, days: Int = 825) throws(SelfSignedError) -> IssuedCertificate
  {
    try issue("access-gateway", names.map(\.extensionText).joined(separator: ","), "serverAuth", now, days)
  }

  /// A client's certificate, for a proxy, with one name.
  ///
  /// - Parameter name: a dns name, or a URI without white space and commas; anything else throws.
  public func issueClient(_ name: ClientName, now: Int, days: Int = 825) throws(SelfSignedError) -> IssuedCertificate {
    let text: String
    switch name {
    case .dns(let dns):
      guard case .dns = ServerName(dns) else { throw SelfSignedError(description: "\(dns) is no dns name") }
      text = "DNS:\(dns)"
    case .uri(let uri):
      guard uri.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x2C && $0 != 0x22 && $0 != 0x5C }) else {
        throw SelfSignedError(description: "\(uri) is no URI")
      }
      text = "URI:\(uri)"
    }
    return try issue("access-gateway client", text, "clientAuth", now, days)
  }

  private func issue(
    _ name: String, _ names: String, _ use: String, _ now: Int, _ days: Int
  ) throws(SelfSignedError) -> IssuedCertificate {
    guard !names.isEmpty else { throw SelfSignedError(description: "a certificate needs a name") }
    return try Self.make(
      name, issuer: root, now: now, days: days,
      extensions: [
        (NID_basic_constraints, "critical,CA:FALSE"), (NID_key_usage, "critical,digitalSignature"),
        (NID_ext_key_usage, use), (NID_subject_alt_name, names), (NID_subject_key_identifier, "hash"),
        (NID_authority_key_identifier, "keyid:always"),
      ])
  }

  private static func make(
    _ name: String, issuer: IssuedCertificate?, now: Int, days: Int, extensions: [(nid: Int32, value: String)]
  ) throws(SelfSignedError) -> IssuedCertificate {
    guard let key = unsafe copenssl_generate_ec("P-256") else {
      throw SelfSignedError(description: "no key can be made")
    }
    guard let certificate = unsafe X509_new() else {
      unsafe EVP_PKEY_free(key)
      throw SelfSignedError(description: "no memory")
    }
    let made = unsafe IssuedCertificate(takingOwnershipOf: certificate, key: key)
    // Borrowed; `made` and `issuer` outlive all uses.
    let signer = issuer ?? made
    let subject = unsafe X509_get_subject_name(certificate)
    guard unsafe X509_set_version(certificate, 2) == 1, unsafe setSerial(certificate),
      unsafe ASN1_TIME_set(X509_getm_notBefore(certificate), now - 3600) != nil,
      unsafe ASN1_TIME_set(X509_getm_notAfter(certificate), now + days * 86_400) != nil,
      unsafe X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1,
      unsafe X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate)) == 1,
      unsafe X509_set_pubkey(certificate, key) == 1
    else { throw SelfSignedError(description: "the certificate can't be filled in") }
    for (nid, value) in extensions {
      guard let added = unsafe copenssl_extension(nid, signer.certificate, certificate, value) else {
        throw SelfSignedError(description: "'\(value)' is no value of a certificate")
      }
      defer { unsafe X509_EXTENSION_free(added) }
      guard unsafe X509_add_ext(certificate, added, -1) == 1 else { throw SelfSignedError(description: "no memory") }
    }
    guard unsafe X509_sign(certificate, signer.key, EVP_sha256()) > 0 else {
      throw SelfSignedError(description: "the certificate can't be signed")
    }
    return made
  }

  /// 127 random bits: unique, and positive (RFC 5280, section 4.1.2.2).
  private static func setSerial(_ certificate: OpaquePointer) -> Bool {
    guard let number = unsafe BN_new() else { return false }
    defer { unsafe BN_free(number) }
    return unsafe BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
      && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
  }
}
