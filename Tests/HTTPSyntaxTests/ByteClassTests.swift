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

  @Test func `letters, digits and hyphens are told from all others, each byte exactly`() {
    func isPlain(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || byte == 0x2D }
    for first in UInt8.min...UInt8.max {
      for second in UInt8.min...UInt8.max {
        let bytes = [0x61, first, second, 0x2D, second, first, 0x39, 0x5A]
        let flags = nameStops(in: word(of: bytes.span, at: 0))
        for place in 0..<8 where (flags >> UInt64(8 * place + 7)) & 1 != (isPlain(bytes[place]) ? 0 : 1) {
          Issue.record("\(bytes), place \(place)")
        }
        if flags & 0x7F7F_7F7F_7F7F_7F7F != 0 { Issue.record("\(bytes) has other bits") }
      }
    }
  }

  @Test func `names are passed up to what may be none, and never beyond their end`() {
    for count in 0..<40 {
      for place in 0...count {
        var bytes = [UInt8](repeating: 0x61, count: count + 16)
        if place < count { bytes[place] = 0x3A }
        let end = skipNameBytes(bytes.span, from: 0, to: count)
        // It stops at the place, or in front of the last bytes, which are no whole word.
        #expect(end == (place < count / 8 * 8 ? place : count / 8 * 8), "\(count), \(place)")
      }
    }
  }

  @Test func `a byte that no value may hold is found wherever it stands`() {
    for count in 0..<150 {
      for place in 0...count {
        for byte: UInt8 in [0x00, 0x0A, 0x1F, 0x7F, tab, 0x80, 0xFF] {
          var value = [UInt8](repeating: 0x62, count: count)
          if place < count { value[place] = byte }
          var head = RequestHead()
          let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX: ".utf8) + value + Array("\r\n\r\n".utf8)
          let isGood = value.allSatisfy { $0 == tab || isValueByte($0) }
          let outcome = head.parse(bytes.span)
          #expect(outcome == (isGood ? .complete : .refused(.badFieldLine)), "\(byte) at \(place) of \(count)")
        }
      }
    }
  }
}
