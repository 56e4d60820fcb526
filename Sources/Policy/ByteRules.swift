// Rules about single bytes and short runs of them that several files here share. Pure; bounds are the caller's.

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

@inline(__always)
func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

/// The value of a hexadecimal digit, 16 for other bytes.
@inline(__always)
func hexadecimalValue(_ byte: UInt8) -> UInt8 {
  if byte &- 0x30 < 10 { return byte &- 0x30 }
  let letter = (byte | 0x20) &- 0x61
  return letter < 6 ? letter + 10 : 16
}

/// ASCII upper case made lower; other bytes as they are.
@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

/// Whether the bytes in `range` are exactly `text`.
@inline(__always)
func equals(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: StaticString) -> Bool {
  guard text.utf8CodeUnitCount == range.count else { return false }
  // The literal's bytes live as long as the program.
  return text.withUTF8Buffer { literal in
    for index in 0..<literal.count {
      let byte = unsafe literal[index]
      if bytes[range.lowerBound + index] != byte { return false }
    }
    return true
  }
}

extension Range<Int> {
  /// The range without spaces and tabs at its ends.
  func trimmed(in bytes: Span<UInt8>) -> Range<Int> {
    var range = self
    while let first = range.first, bytes[first] == 0x20 || bytes[first] == 0x09 {
      range = (first + 1)..<range.upperBound
    }
    while let last = range.last, bytes[last] == 0x20 || bytes[last] == 0x09 { range = range.lowerBound..<last }
    return range
  }
}
