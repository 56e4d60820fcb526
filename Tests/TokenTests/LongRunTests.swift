// Bytes that are read eight at a step: each byte at each place of a long run gets the verdict that it gets alone.

import Testing

import Token

@Suite struct LongRunTests {
  @Test func `any byte at any place of a long string ends it, is refused, or is part of it`() {
    for place in 0..<20 {
      for byte in UInt8.min...UInt8.max {
        var string = [UInt8](repeating: UInt8(ascii: "a"), count: 21)
        string[place] = byte
        let isPlain = byte >= 0x20 && byte < 0x80 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
        #expect(JSONDocumentTests.isAccepted([0x22] + string + [0x22]) == isPlain, "\(byte) at \(place)")
      }
    }
  }

  @Test func `any byte at any place of a long number ends it or is part of it`() {
    for place in 0..<20 {
      for byte in UInt8.min...UInt8.max {
        var number = [UInt8](repeating: UInt8(ascii: "9"), count: 21)
        number[place] = byte
        let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
        let isExpected =
          switch byte {
          case UInt8(ascii: "0"): place > 0
          case UInt8(ascii: "-"), 0x20, 0x09, 0x0A, 0x0D: place == 0
          case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"): place > 0
          default: isDigit
          }
        #expect(JSONDocumentTests.isAccepted(number) == isExpected, "\(byte) at \(place)")
      }
    }
  }

  @Test func `any byte at any place of long white space ends it or is part of it`() {
    let white: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
    for place in 0..<20 {
      for byte in UInt8.min...UInt8.max {
        var space = (0..<21).map { white[$0 % 4] }
        space[place] = byte
        #expect(
          JSONDocumentTests.isAccepted([0x31] + space)
            == (white.contains(byte) || place == 0 && byte >= 0x30 && byte <= 0x39))
      }
    }
  }

  @Test func `any byte at any place of a long part is base64url or malformed`() {
    let alphabet = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    for place in 0..<44 {
      for byte in UInt8.min...UInt8.max {
        var text = [UInt8](repeating: UInt8(ascii: "A"), count: 44)
        text[place] = byte
        let decoded = Base64URLTests.decode(text)
        #expect((decoded != nil) == alphabet.contains(byte), "\(byte) at \(place)")
        if let decoded { #expect(Array(Samples.encode(decoded).utf8) == text) }
      }
    }
  }

  @Test func `dots are found at every distance`() {
    for first in 1..<20 {
      for second in 1..<20 {
        let header = Samples.encode([UInt8](repeating: 0x20, count: first * 3) + Array(Samples.header.utf8))
        let signature = Samples.encode([UInt8](repeating: 7, count: second))
        let payload = Samples.encode(Array(Samples.payload().utf8))
        #expect(reading("\(header).\(payload).\(signature)") == nil)
        #expect(reading("\(header).\(payload).\(signature).\(signature)") == .malformed)
        #expect(reading("\(header).\(payload)\(signature)") == .malformed)
      }
    }
  }
}
