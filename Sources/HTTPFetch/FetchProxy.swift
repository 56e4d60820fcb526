// An HTTP proxy on the way to a server, and how we tell it who we are. Pure.

import EventLoops
import POSIX

/// An HTTP proxy on the way to a server.
public struct FetchProxy: Equatable, Sendable {
  /// A name, or a numeric address with no brackets.
  public var host: String
  public var port: UInt16
  /// `user:password` as bytes; nil: the proxy asks nobody who they are. A secret: it goes to the proxy alone.
  public var credentials: [UInt8]?

  public init(host: String, port: UInt16, credentials: [UInt8]? = nil) {
    self.host = host
    self.port = port
    self.credentials = credentials
  }

  /// The value of `Proxy-Authorization` (RFC 9110 section 11.7.2, RFC 7617); nil: none is sent.
  var authorization: String? { credentials.map { "Basic \(Self.base64($0))" } }

  /// RFC 4648 section 4, with padding.
  private static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let word = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for place in 0...3 {
        text.append(place <= group.count ? alphabet[word >> (18 - 6 * place) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
