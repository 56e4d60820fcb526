// The classes of bytes in HTTP's grammar, one at a time and eight at a time. Pure functions of bytes: no state, no
// tables in memory. "Eight at a time" finds the first byte of a word that a class does not hold; the carry of the
// subtraction only runs upwards, so the lowest flag is always right, and only that one is used. Loops go on by a constant
// 8 while there is no flag: the next load then does not wait for this word's verdict.

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
/// The safe library has no unaligned load. Cut to eight bytes first, with one check of the bounds, this compiles to one.
@inline(__always)
func word(of bytes: Span<UInt8>, at offset: Int) -> UInt64 {
  let eight = bytes.extracting(offset..<(offset &+ 8))
  var word = UInt64(eight[0])
  word |= UInt64(eight[1]) &<< 8
  word |= UInt64(eight[2]) &<< 16
  word |= UInt64(eight[3]) &<< 24
  word |= UInt64(eight[4]) &<< 32
  word |= UInt64(eight[5]) &<< 40
  word |= UInt64(eight[6]) &<< 48
  word |= UInt64(eight[7]) &<< 56
  return word
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

/// Flags where a byte of `word` is no plain field-value byte: a control byte, HTAB included.
@inline(__always)
func valueStops(in word: UInt64) -> UInt64 {
  flags(in: word, below: 0x20) | flags(in: word, equal: 0x7F)
}

/// How many bytes `hasValueStops` looks at.
let blockBytes = MemoryLayout<SIMD8<UInt64>>.size

/// Whether one of the 64 bytes from `offset` on is no plain field-value byte. The caller has seen that there are 64.
@inline(__always)
func hasValueStops(_ bytes: Span<UInt8>, inBlockFrom offset: Int) -> Bool {
  let block = bytes.extracting(offset..<(offset &+ blockBytes))
  // Safe: the load checks the bounds, and every pattern of bits is a vector of numbers.
  let words = unsafe block.bytes.unsafeLoadUnaligned(as: SIMD8<UInt64>.self)
  // `valueStops` in eight words at once; a flag too many can only stand above a right one.
  let below = words &- SIMD8(repeating: low &* 0x20)
  let equal = (words ^ SIMD8(repeating: low &* 0x7F)) &- SIMD8(repeating: low)
  let stops = (below | equal) & ~words
  let four = stops.lowHalf | stops.highHalf
  let two = four.lowHalf | four.highHalf
  return (two[0] | two[1]) & high != 0
}

/// Flags (each exact) where a byte of `word` is neither letter, digit nor `-`: what nearly all names are made of.
@inline(__always)
func nameStops(in word: UInt64) -> UInt64 {
  // Seven bits and a number below 0x80 never carry into the next byte; the sum's high bit says whether it was reached.
  let seven = word & ~high
  let folded = seven | low &* 0x20
  let letter = (folded &+ low &* (0x80 - 0x61)) & ~(folded &+ low &* (0x80 - 0x7B))
  let digit = (seven &+ low &* (0x80 - 0x30)) & ~(seven &+ low &* (0x80 - 0x3A))
  let dash = ~((seven ^ low &* 0x2D) &+ low &* 0x7F)
  return ~((letter | digit | dash) & ~word) & high
}

/// The first place from `start` on, before `end`, that may be no letter, digit or `-`: whole words of them are passed.
@inline(__always)
func skipNameBytes(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
  var i = start
  while end - i >= 8 {
    let stops = nameStops(in: word(of: bytes, at: i))
    if stops != 0 { return i + firstFlag(stops) }
    i += 8
  }
  return i
}

/// Whether one of `bytes` is an upper-case letter.
@inline(__always)
func hasUpperCase(_ bytes: Span<UInt8>) -> Bool {
  var i = 0
  while bytes.count - i >= 8 {
    let eight = word(of: bytes, at: i)
    // As in `nameStops`: seven bits and a number below 0x80 never carry into the next byte.
    let seven = eight & ~high
    let letter = (seven &+ low &* (0x80 - 0x41)) & ~(seven &+ low &* (0x80 - 0x5B))
    if letter & ~eight & high != 0 { return true }
    i += 8
  }
  while i < bytes.count {
    if bytes[i] &- 0x41 < 26 { return true }
    i += 1
  }
  return false
}

/// Flags where a byte of `word` is no target byte.
@inline(__always)
func targetStops(in word: UInt64) -> UInt64 {
  flags(in: word, below: 0x21) | flags(in: word, equal: 0x7F) | flags(in: word, equal: 0x23) | word & high
}

/// Flags where a byte of `word` is a semicolon.
@inline(__always)
func semicolons(in word: UInt64) -> UInt64 {
  flags(in: word, equal: 0x3B)
}

/// The place of the first flag, 0 to 7; 8 where there is none.
@inline(__always)
func firstFlag(_ flags: UInt64) -> Int {
  flags.trailingZeroBitCount &>> 3
}
