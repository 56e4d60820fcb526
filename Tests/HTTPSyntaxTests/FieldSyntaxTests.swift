// Field names and values outside of an HTTP/1 head.

import HTTPSyntax
import Testing

@Suite struct FieldSyntaxTests {
  static let all = Array(UInt8.min...UInt8.max)

  private func isName(_ bytes: [UInt8]) -> Bool { FieldSyntax.isName(bytes.span) }
  private func isPrintable(_ bytes: [UInt8]) -> Bool { FieldSyntax.isPrintable(bytes.span) }

  @Test func `a name is one tchar or more, and nothing else`() {
    let allowed = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for byte in Self.all {
      #expect(isName([byte]) == allowed.contains(byte), "\(byte)")
      #expect(isName([0x61, byte, 0x61]) == allowed.contains(byte), "\(byte)")
    }
    #expect(!isName([]))
  }

  @Test func `a printable value has bytes from 0x20 to 0x7E alone, or none`() {
    for byte in Self.all {
      #expect(isPrintable([0x61, byte]) == (0x20...0x7E).contains(byte), "\(byte)")
    }
    #expect(isPrintable([]))
  }

  @Test func `a name is compared in any case, and only within the bytes`() {
    let name: FieldName = "X-Auth"
    let bytes = Array("x-aUTHx_auth".utf8)
    func equals(_ range: Range<Int>) -> Bool { name.equals(bytes.span, range) }
    #expect(equals(0..<6))
    #expect(!equals(6..<12))
    #expect(!equals(0..<5))
    #expect(!equals(0..<7))
    #expect(!equals(10..<16))
    #expect(!equals(-1..<5))
  }
}
