// Strict base64url: RFC 4648 section 10's vectors, and every way to spell a byte twice.

import Testing
import Token

@Suite struct Base64URLTests {
  static func decode(_ text: [UInt8], room: Int = 64) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0xAA, count: room)
    var buffer = bytes.mutableSpan
    guard let count = Base64URL.decode(text.span, in: 0..<text.count, to: &buffer) else { return nil }
    return Array(bytes.prefix(count))
  }

  @Test(arguments: [
    ("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmE", "fooba"),
    ("Zm9vYmFy", "foobar"),
  ])
  func `the vectors of RFC 4648 decode`(encoded: String, plain: String) {
    #expect(Self.decode(Array(encoded.utf8)) == Array(plain.utf8))
  }

  @Test(arguments: [
    "Zg==", "Zm8=", "Zm9v=", "Z", "Zm9vY", "Zm9+", "Zm9/", "Zm 9v", "Zm9v\n", "\r\nZm9v", "Zm9%3D", "Zm9.", "Zmé",
    "?m9v",
    "Zm9v\0",
  ])
  func `padding, white space, other alphabets and a single rest character refuse`(encoded: String) {
    #expect(Self.decode(Array(encoded.utf8)) == nil)
  }

  @Test func `each byte has exactly one spelling of two and of three characters`() {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    var short = 0
    var long = 0
    for first in alphabet {
      for second in alphabet {
        if Self.decode([first, second]) != nil { short += 1 }
        if Self.decode([alphabet[0], first, second]) != nil { long += 1 }
      }
    }
    #expect(short == 256)
    #expect(long == 64 * 16)
  }

  @Test func `exactly the 64 characters are accepted in each place of a group and of a rest`() {
    for place in 0..<7 {
      var accepted = 0
      for character in UInt8.min...UInt8.max {
        var text = Array("AAAAAAA".utf8)
        text[place] = character
        if Self.decode(text) != nil { accepted += 1 }
      }
      #expect(accepted == (place == 6 ? 16 : 64))
    }
  }

  @Test func `what is encoded comes back, for every length`() {
    for length in 0..<60 {
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 37 + length) }
      #expect(Self.decode(Array(Samples.encode(bytes).utf8)) == bytes)
    }
  }

  @Test func `a buffer that is too small, or a range outside the source, refuses`() {
    #expect(Self.decode(Array("Zm9vYg".utf8), room: 3) == nil)
    #expect(Self.decode(Array("Zm9vYg".utf8), room: 4) == Array("foob".utf8))
    let text = Array("Zm9v".utf8)
    var bytes = [UInt8](repeating: 0, count: 8)
    var buffer = bytes.mutableSpan
    let outside = Base64URL.decode(text.span, in: 0..<5, to: &buffer)
    #expect(outside == nil)
    let inside = Base64URL.decode(text.span, in: 2..<4, to: &buffer)
    #expect(inside == nil, "9v leaves bits behind")
  }
}
