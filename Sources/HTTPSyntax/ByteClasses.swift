// The classes of bytes in HTTP's grammar, one at a time and eight at a time. Pure functions of bytes: no state, no
// tables in memory. "Eight at a time" finds the first byte of a word that a class does not hold; the carry of the
// subtraction only runs upwards, so the lowest flag is always right, and only that one is used.

let space: UInt8 = 0x20
let tab: UInt8 = 0x09
let carriageReturn: UInt8 = 0x0D
let lineFeed: UInt8 = 0x0A

/// Whether `byte` may stand in a method or a field name: RFC 9110, section 5.6.2, `tchar`.
@inline(__always)
func isTokenByte(_ byte: UInt8) -> Bool {
  // One bit a byte value: ! # $ % & ' * + - . 0-9, then A-Z ^ _ ` a-z | ~.
  let bits: UInt64 = byte & 0x40 == 0 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
  return byte < 0x80 && (bits &>> UInt64(byte & 0x3F)) & 1 == 1
}

/// OWS of RFC 9110, section 5.6.3.
@inline(__always)
func isBlank(_ byte: UInt8) -> Bool {
  byte == space || byte == tab
}

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool {
  byte &- 0x30 < 10
}

@inline(__always)
func isAlphanumeric(_ byte: UInt8) -> Bool {
  (byte | 0x20) &- 0x61 < 26 || isDigit(byte)
}

@inline(__always)
func isHexDigit(_ byte: UInt8) -> Bool {
  isDigit(byte) || (byte | 0x20) &- 0x61 < 6
}

/// A byte of a target: visible ASCII but `#`, which starts a fragment and has no place in a request.
@inline(__always)
func isTargetByte(_ byte: UInt8) -> Bool {
  byte &- 0x21 < 0x5E && byte != 0x23
}

/// A byte of a field value: anything but control bytes; HTAB is the exception (RFC 9110, section 5.5).
@inline(__always)
func isValueByte(_ byte: UInt8) -> Bool {
  byte >= 0x20 && byte != 0x7F || byte == tab
}

@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 {
  byte &- 0x41 < 26 ? byte | 0x20 : byte
}

// MARK: Eight at a time

private let low: UInt64 = 0x0101_0101_0101_0101
private let high: UInt64 = 0x8080_8080_8080_8080

/// The eight bytes at `offset`, the first in the lowest bits. The caller has seen that there are eight.
/// Written out so that the compiler makes one load of it; the safe library has no unaligned load.
@inline(__always)
func word(of bytes: Span<UInt8>, at offset: Int) -> UInt64 {
  let w0 = UInt64(bytes[offset]) | UInt64(bytes[offset &+ 1]) &<< 8
  let w1 = UInt64(bytes[offset &+ 2]) &<< 16 | UInt64(bytes[offset &+ 3]) &<< 24
  let w2 = UInt64(bytes[offset &+ 4]) &<< 32 | UInt64(bytes[offset &+ 5]) &<< 40
  let w3 = UInt64(bytes[offset &+ 6]) &<< 48 | UInt64(bytes[offset &+ 7]) &<< 56
  return w0 | w1 | w2 | w3
}

/// Flags (the high bit of a byte) where a byte of `word` is below `bound`, which is at most 0x80.
@inline(__always)
private func flags(in word: UInt64, below bound: UInt8) -> UInt64 {
  (word &- low &* UInt64(bound)) & ~word & high
}

@inline(__always)
private func flags(in word: UInt64, equal byte: UInt8) -> UInt64 {
  flags(in: word ^ (low &* UInt64(byte)), below: 1)
}

/// How many of the eight bytes, from the first, are plain field-value bytes: no control byte and no HTAB.
@inline(__always)
func plainValuePrefix(of word: UInt64) -> Int {
  (flags(in: word, below: 0x20) | flags(in: word, equal: 0x7F)).trailingZeroBitCount &>> 3
}

/// How many of the eight bytes, from the first, are target bytes.
@inline(__always)
func targetPrefix(of word: UInt64) -> Int {
  let refused = flags(in: word, below: 0x21) | flags(in: word, equal: 0x7F) | flags(in: word, equal: 0x23)
  return (refused | word & high).trailingZeroBitCount &>> 3
}

/// How many of the eight bytes, from the first, are not `byte`.
@inline(__always)
func prefix(of word: UInt64, without byte: UInt8) -> Int {
  flags(in: word, equal: byte).trailingZeroBitCount &>> 3
}
