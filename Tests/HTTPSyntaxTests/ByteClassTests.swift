// The byte classes, each of the 256 values, and that eight bytes at a time agree with one at a time.

import Testing

@testable import HTTPSyntax

@Suite struct ByteClassTests {
  @Test func `a token byte is one of the characters that RFC 9110 lists`() {
    let listed = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for byte in UInt8.min...UInt8.max { #expect(isTokenByte(byte) == listed.contains(byte), "\(byte)") }
  }

  @Test func `letters and digits are those of ASCII alone`() {
    let hexadecimal = Set("0123456789abcdefABCDEF".utf8)
    for byte in UInt8.min...UInt8.max {
      let scalar = Unicode.Scalar(byte)
      let isLetter = scalar.isASCII && scalar.properties.isAlphabetic
      let isNumber = scalar.isASCII && scalar.properties.numericType != nil
      #expect(isAlphanumeric(byte) == (isLetter || isNumber), "\(byte)")
      #expect(isDigit(byte) == isNumber, "\(byte)")
      #expect(isHexDigit(byte) == hexadecimal.contains(byte), "\(byte)")
      #expect(lowercased(byte) == (isLetter ? scalar.properties.lowercaseMapping.utf8.first : byte), "\(byte)")
    }
  }

  @Test func `eight bytes at a time find what one at a time finds`() {
    let fillers: [UInt8] = [0x21, 0x22, 0x24, 0x41, 0x7E, 0x80, 0xA0, 0xFF, 0x3A, 0x3C]
    for place in 0..<8 {
      for byte in UInt8.min...UInt8.max {
        for filler in fillers {
          var bytes = [UInt8](repeating: filler, count: 8)
          bytes[place] = byte
          let loaded = word(of: bytes.span, at: 0)
          #expect(loaded.littleEndian == bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
          let value = bytes.firstIndex { $0 == tab || !isValueByte($0) } ?? 8
          let target = bytes.firstIndex { !isTargetByte($0) } ?? 8
          let semicolon = bytes.firstIndex(of: 0x3B) ?? 8
          #expect(firstFlag(valueStops(in: loaded)) == value)
          #expect(firstFlag(targetStops(in: loaded)) == target)
          #expect(firstFlag(semicolons(in: loaded)) == semicolon)
        }
      }
    }
  }
}
