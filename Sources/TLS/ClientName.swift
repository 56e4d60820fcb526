// Which clients may ask: names of their certificates, compared exactly. A common name never counts: it has no type, and CAs
// let people choose it.

import COpenSSL

/// A subject alternative name that a client's certificate may show (RFC 5280, section 4.2.1.6).
public enum ClientName: Equatable, Hashable, Sendable {
  /// A dNSName, in lower case. `*` has no special meaning.
  case dns(String)
  /// A uniformResourceIdentifier, byte for byte; SPIFFE's IDs are such.
  case uri(String)

  /// `dns:NAME` or `uri:URI`; nil for anything else, or where nothing follows.
  public init?(_ text: String) {
    if text.hasPrefix("dns:"), text.utf8.count > 4 {
      self = .dns(Self.lowercased(text.utf8.dropFirst(4)))
    } else if text.hasPrefix("uri:"), text.utf8.count > 4 {
      self = .uri(String(text.dropFirst(4)))
    } else {
      return nil
    }
  }

  static func lowercased(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  /// The dns and uri names of a certificate. A name with a NUL or a byte that is not ASCII is none.
  static func all(of certificate: OpaquePointer) -> [ClientName] {
    guard let names = unsafe X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return [] }
    let list = OpaquePointer(names)
    defer { unsafe copenssl_general_names_free(list) }
    var found: [ClientName] = []
    let count = unsafe copenssl_general_names_count(list)
    for index in 0..<count {
      let name = unsafe copenssl_general_name(list, index)
      if let bytes = unsafe text(name, GEN_DNS) {
        found.append(.dns(lowercased(bytes)))
      } else if let bytes = unsafe text(name, GEN_URI) {
        found.append(.uri(String(decoding: bytes, as: UTF8.self)))
      }
    }
    return found
  }

  private static func text(_ name: UnsafePointer<GENERAL_NAME>?, _ type: Int32) -> [UInt8]? {
    guard let string = unsafe copenssl_general_name_text(name, type) else { return nil }
    // The certificate owns the bytes; they are copied.
    let start = unsafe ASN1_STRING_get0_data(string)
    let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(string))))
    return bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? bytes : nil
  }
}
