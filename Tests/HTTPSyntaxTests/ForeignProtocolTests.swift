// What a plain port meets by mistake is told by its first bytes; nothing that could be HTTP is taken for it.

import HTTPSyntax
import Testing

@Suite struct ForeignProtocolTests {
  @Test(arguments: [[0x16, 0x03, 0x01, 0x02, 0x00, 0x01], [0x16, 0x03]] as [[UInt8]])
  func `a TLS handshake is told by its record's first bytes`(bytes: [UInt8]) {
    #expect(ForeignProtocol(bytes.span) == .tls)
  }

  @Test(arguments: ["PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY UNKNOWN\r\n", "\r\n\r\n\0\r\nQUIT\n!\u{11}"])
  func `a PROXY header of either version is told by its signature`(text: String) {
    #expect(ForeignProtocol(Array(text.utf8).span) == .proxyHeader)
  }

  @Test(arguments: [
    "", "\u{16}", "PROXY", "PROXY/ HTTP/1.1\r\n", "\r\n\r\n\0\r\nQUIT", "GET / HTTP/1.1\r\n", "\u{15}\u{3}",
  ])
  func `nothing else is`(text: String) {
    #expect(ForeignProtocol(Array(text.utf8).span) == nil)
  }
}
