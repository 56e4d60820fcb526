// Tells what a client speaks that is refused as no HTTP, for a log line that names the mistake. Pure; decides nothing.

/// A protocol that a plain HTTP port meets by mistake.
public enum ForeignProtocol: Equatable, Sendable {
  /// A TLS record of a handshake (RFC 8446, section 5.1).
  case tls
  /// A PROXY-protocol header, version 1 or 2 (HAProxy's proxy-protocol.txt, sections 2.1 and 2.2).
  case proxyHeader

  /// - Parameter bytes: the first that came; nil when they are the beginning of neither.
  public init?(_ bytes: Span<UInt8>) {
    if Self.starts(bytes, with: "PROXY ") || Self.starts(bytes, with: "\r\n\r\n\0\r\nQUIT\n") {
      self = .proxyHeader
    } else if bytes.count >= 2, bytes[0] == 0x16, bytes[1] == 0x03 {
      self = .tls
    } else {
      return nil
    }
  }

  private static func starts(_ bytes: Span<UInt8>, with signature: StaticString) -> Bool {
    signature.withUTF8Buffer { signature in
      guard bytes.count >= signature.count else { return false }
      return signature.indices.allSatisfy { unsafe bytes[$0] == signature[$0] }
    }
  }
}
