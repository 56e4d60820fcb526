// base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strict. No other alphabet or variant lives here.

/// Strict base64url: every sequence of bytes has exactly one spelling that is accepted.
public enum Base64URL {
  /// Decodes the characters of `source` in `range` to the front of `buffer` and returns how many bytes it wrote.
  ///
  /// Nil when `range` reaches past `source` or the bytes past `buffer`, on any character outside `A-Z a-z 0-9 - _` (also
  /// `=`), on a length that leaves a single character, and on bits behind the last byte that are not zero: those would
  /// give one token several spellings, which is how a revocation or a cache keyed by the token is passed by. The
  /// buffer's contents are unspecified then. Nothing is decoded to nothing.
  public static func decode(_ source: Span<UInt8>, in range: Range<Int>, to buffer: inout MutableSpan<UInt8>) -> Int? {
    guard range.lowerBound >= 0, range.upperBound <= source.count else { return nil }
    let characters = source.extracting(range)
    let rest = characters.count % 4
    let byteCount = characters.count / 4 * 3 + (rest > 0 ? rest - 1 : 0)
    guard rest != 1, byteCount <= buffer.count else { return nil }

    let table = Self.sextets
    let sextets = table.span
    guard sextets.count == 1024 else { return nil }
    // All groups are or-ed together: a character outside the alphabet shows above the 24th bit.
    var all: UInt32 = 0
    var at = 0
    var out = 0
    // 16 characters at a step. The bounds are asked here, once, so that the compiler asks none below.
    while characters.count - at >= 16, buffer.count - out >= 12 {
      let sixteen = characters.extracting(at..<at + 16)
      let g0 = group(sixteen[0], sixteen[1], sixteen[2], sixteen[3], sextets)
      let g1 = group(sixteen[4], sixteen[5], sixteen[6], sixteen[7], sextets)
      let g2 = group(sixteen[8], sixteen[9], sixteen[10], sixteen[11], sextets)
      let g3 = group(sixteen[12], sixteen[13], sixteen[14], sixteen[15], sextets)
      all |= g0 | g1 | g2 | g3
      var twelve = buffer._mutatingExtracting(out..<out + 12)
      write(g0, to: &twelve, at: 0)
      write(g1, to: &twelve, at: 3)
      write(g2, to: &twelve, at: 6)
      write(g3, to: &twelve, at: 9)
      at += 16
      out += 12
    }
    while characters.count - at >= 4 {
      let next = group(
        characters[at], characters[at + 1], characters[at + 2], characters[at + 3], sextets)
      all |= next
      write(next, to: &buffer, at: out)
      at += 4
      out += 3
    }
    if rest > 0 {
      // `A` stands for the missing characters: its bits are zero.
      let last = group(
        characters[at], characters[at + 1], rest == 3 ? characters[at + 2] : UInt8(ascii: "A"), UInt8(ascii: "A"),
        sextets)
      all |= last
      guard last & (rest == 3 ? 0xFF : 0xFFFF) == 0 else { return nil }
      buffer[out] = UInt8(truncatingIfNeeded: last >> 16)
      if rest == 3 { buffer[out + 1] = UInt8(truncatingIfNeeded: last >> 8) }
    }
    return all < 1 << 24 ? byteCount : nil
  }

  /// The 24 bits of four characters, and bits above them where one is none of the alphabet. `sextets` has 1024 entries.
  @inline(__always)
  private static func group(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ sextets: Span<UInt32>) -> UInt32 {
    sextets[Int(a)] | sextets[256 + Int(b)] | sextets[512 + Int(c)] | sextets[768 + Int(d)]
  }

  @inline(__always)
  private static func write(_ group: UInt32, to buffer: inout MutableSpan<UInt8>, at out: Int) {
    buffer[out] = UInt8(truncatingIfNeeded: group >> 16)
    buffer[out + 1] = UInt8(truncatingIfNeeded: group >> 8)
    buffer[out + 2] = UInt8(truncatingIfNeeded: group)
  }

  /// For each place in a group of four and each byte: its six bits where they belong, or all bits above the 24th.
  private static let sextets: [UInt32] = {
    var table = [UInt32](repeating: 0xFF00_0000, count: 1024)
    for (value, character) in alphabet.utf8.enumerated() {
      for place in 0..<4 { table[place * 256 + Int(character)] = UInt32(value) << UInt32(18 - 6 * place) }
    }
    return table
  }()

  private static let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
}
