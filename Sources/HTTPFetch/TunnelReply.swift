// What a proxy answers to CONNECT (RFC 9110 section 9.3.6), and the question. Bytes in, an open tunnel or a failure out;
// pure, no sockets.

import EventLoops
import POSIX

/// Reads the head of the proxy's answer.
struct TunnelReply {
  private static let maximumHead = 16 * 1024
  private var bytes: [UInt8] = []
  /// Up to where no head ends.
  private var searched = 0

  /// The request that asks for a tunnel.
  static func question(host: String, port: UInt16, authorization: String? = nil) -> [UInt8] {
    let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    let credentials = authorization.map { "Proxy-Authorization: \($0)\r\n" } ?? ""
    return Array("CONNECT \(name):\(port) HTTP/1.1\r\nHost: \(name):\(port)\r\n\(credentials)\r\n".utf8)
  }

  /// Takes the next bytes. Returns whether the tunnel is open.
  mutating func receive(_ more: some Collection<UInt8>) throws(FetchFailure) -> Bool {
    bytes += more
    var end: Int?
    // From where the last search ended: a head in many pieces is looked through once.
    while end == nil, searched + 4 <= bytes.count {
      if bytes[searched + 3] == 10, bytes[searched + 2] == 13, bytes[searched + 1] == 10, bytes[searched] == 13 {
        end = searched + 4
      }
      searched += 1
    }
    guard let end else {
      guard bytes.count <= Self.maximumHead else { throw .tooLarge }
      return false
    }
    // HTTP/1.x SP 3 digits, then SP or the line's end.
    let digits = bytes.prefix(end).dropFirst(9).prefix(3)
    guard end >= 16, bytes.starts(with: "HTTP/1.".utf8), bytes[8] == 0x20, bytes[12] == 0x20 || bytes[12] == 13,
      digits.allSatisfy({ (0x30...0x39).contains($0) })
    else { throw .connect("the proxy's answer is no HTTP") }
    guard digits.first == UInt8(ascii: "2") else {
      throw .connect("the proxy answered with status \(String(decoding: digits, as: UTF8.self))")
    }
    // In TLS the client speaks first: these bytes are nobody's that we asked.
    guard end == bytes.count else { throw .connect("the proxy sent more than an answer") }
    return true
  }
}
