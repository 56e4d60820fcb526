// Eight bytes at a step: the questions that long runs of bytes are asked, without a branch a byte. Pure arithmetic.

/// Eight bytes of a source, the first one lowest.
struct EightBytes: Equatable {
  private let word: UInt64

  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highBits: UInt64 = 0x8080_8080_8080_8080

  /// The eight bytes from `start` on; they must lie within `source`.
  @inline(__always)
  init(_ source: Span<UInt8>, at start: Int) {
    let bytes = source.extracting(start..<start + 8)
    // The compiler makes one load of this.
    var word = UInt64(bytes[0])
    word |= UInt64(bytes[1]) << 8
    word |= UInt64(bytes[2]) << 16
    word |= UInt64(bytes[3]) << 24
    word |= UInt64(bytes[4]) << 32
    word |= UInt64(bytes[5]) << 40
    word |= UInt64(bytes[6]) << 48
    word |= UInt64(bytes[7]) << 56
    self.word = word
  }

  /// Which of the bytes answer to a question: the first is exact, what follows it may be flagged falsely (a borrow runs
  /// upwards), so only whether there is one and which is the first are told.
  struct Found {
    fileprivate let flags: UInt64

    /// Whether there is one at all.
    @inline(__always) var isAny: Bool { flags != 0 }
    /// The place of the first, 0 to 7; 8 where there is none.
    @inline(__always) var first: Int { flags.trailingZeroBitCount >> 3 }
  }

  /// The bytes that are `byte`.
  @inline(__always)
  func equal(to byte: UInt8) -> Found { Found(flags: zeros(word ^ Self.ones &* UInt64(byte))) }

  /// The bytes that may not stand in a JSON string as they are: quote, backslash, control characters, and all that are
  /// not ASCII.
  @inline(__always)
  var notPlain: Found {
    let controls = word &- Self.ones &* 0x20
    let quotes = zeros(word ^ Self.ones &* 0x22)
    let backslashes = zeros(word ^ Self.ones &* 0x5C)
    return Found(flags: (controls | quotes | backslashes | word) & Self.highBits)
  }

  /// The bytes that are no decimal digit.
  @inline(__always)
  var notDigits: Found {
    // 0x30 to 0x39 alone have 3 as their upper half, both as they are and after 6 is added.
    let differences = (word ^ Self.ones &* 0x30) | ((word &+ Self.ones &* 6) ^ Self.ones &* 0x30)
    let upperHalves = differences & (Self.ones &* 0xF0)
    return Found(flags: (upperHalves >> 1 &+ Self.ones &* 0x7F) & Self.highBits)
  }

  /// The bytes that are not `byte`.
  @inline(__always)
  func other(than byte: UInt8) -> Found { Found(flags: nonZeros(word ^ Self.ones &* UInt64(byte)) & Self.highBits) }

  /// The bytes that are neither space, tab, line feed nor carriage return.
  @inline(__always)
  var notWhiteSpace: Found {
    let black =
      nonZeros(word ^ Self.ones &* 0x20) & nonZeros(word ^ Self.ones &* 0x09)
      & nonZeros(word ^ Self.ones &* 0x0A) & nonZeros(word ^ Self.ones &* 0x0D)
    return Found(flags: black & Self.highBits)
  }

  /// Flags the bytes of `word` that are zero: the first one exactly, those behind it perhaps falsely.
  @inline(__always)
  private func zeros(_ word: UInt64) -> UInt64 { (word &- Self.ones) & ~word & Self.highBits }

  /// Flags in the high bits the bytes of `word` that are not zero, each exactly; the other bits say nothing.
  @inline(__always)
  private func nonZeros(_ word: UInt64) -> UInt64 { ((word & ~Self.highBits) &+ ~Self.highBits) | word }
}
