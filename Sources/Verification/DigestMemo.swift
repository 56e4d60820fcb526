// Digests of the tokens that one event loop saw last, so that the usual request finds its digest by comparing bytes
// instead of computing SHA-256 over them (0.6 µs of a request's 6). A pure memo: the answer is always the digest that
// SHA256Digest would give, because all bytes are compared. It knows nothing of verdicts, so nothing ever makes it stale.

import Glibc

/// Remembers the digests of recent pairs of audience and token. One event loop owns it; it takes 2 MiB of address space,
/// of which the pages that were used are in memory.
@safe public struct DigestMemo: ~Copyable {
  private static let places = 1024
  /// Longer pairs are not remembered: their digest is computed each time.
  private static let longestPair = 2048

  private struct Place {
    var audienceCount = 0
    /// Of audience and token together; 0 while nothing is held.
    var count = 0
    /// Marks of the token that is held, and of the one that was last asked for in vain.
    var held: UInt32 = 0
    var asked: UInt32 = 0
    var digest = SHA256Digest(words: (0, 0, 0, 0))
  }

  private var table: [Place]
  /// `longestPair` bytes a place: audience and token, one behind the other. Owned; written before they are read (`count`).
  private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: places * longestPair, alignment: 64)
  private let seed = UInt64.random(in: 0...UInt64.max)

  public init() { table = Array(repeating: Place(), count: Self.places) }

  deinit { unsafe bytes.deallocate() }

  /// Whether a pair is of a length that is remembered, so that asking for its digest may cost none.
  public func mayHold(audience: Span<UInt8>, token: Span<UInt8>) -> Bool {
    audience.count + token.count <= Self.longestPair && token.count >= 16
  }

  /// The digest of a pair that is of a length that is remembered; nil for the others, whose digest costs its bytes.
  public mutating func digestIfShort(audience: Span<UInt8>, token: Span<UInt8>) -> SHA256Digest? {
    guard mayHold(audience: audience, token: token) else { return nil }
    return digest(audience: audience, token: token)
  }

  /// The digest of an audience and a token, as `SHA256Digest.init(audience:token:)` gives it.
  ///
  /// A pair takes its place when it is asked for twice with no other new one in between: of more tokens than there are
  /// places, all about equally often, most never come to be copied in vain. Allocates nothing.
  public mutating func digest(audience: Span<UInt8>, token: Span<UInt8>) -> SHA256Digest {
    guard mayHold(audience: audience, token: token) else { return SHA256Digest(audience: audience, token: token) }
    let count = audience.count + token.count
    let mark = mark(of: token)
    let at = Int(mark) & (Self.places - 1)
    if table[at].held == mark, table[at].audienceCount == audience.count, table[at].count == count,
      isHeld(audience, at, 0), isHeld(token, at, audience.count)
    {
      return table[at].digest
    }
    let digest = SHA256Digest(audience: audience, token: token)
    guard table[at].asked == mark else {
      table[at].asked = mark
      return digest
    }
    keep(audience, at, 0)
    keep(token, at, audience.count)
    table[at].held = mark
    table[at].audienceCount = audience.count
    table[at].count = count
    table[at].digest = digest
    return digest
  }

  /// By the end of the signature, which differs between tokens. Whoever aims tokens at one place gains their digest's
  /// cost, no more.
  private func mark(of token: Span<UInt8>) -> UInt32 {
    var tail = seed
    for at in token.count - 8..<token.count { tail = (tail ^ UInt64(token[at])) &* 0x0000_0100_0000_01B3 }
    return UInt32(truncatingIfNeeded: tail >> 32)
  }

  /// The bytes of a place from `start` on, as many as `other` has. `mayHold` and the counts were asked before.
  private func room(_ place: Int, _ start: Int, for other: Span<UInt8>) -> UnsafeMutableRawBufferPointer {
    precondition(place < Self.places && start >= 0 && start + other.count <= Self.longestPair)
    let from = place * Self.longestPair + start
    return unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[from..<from + other.count])
  }

  private func isHeld(_ other: Span<UInt8>, _ place: Int, _ start: Int) -> Bool {
    let room = unsafe room(place, start, for: other)
    // Safe: both have `other.count` bytes, and those of the place were written, since its counts agree.
    return unsafe other.withUnsafeBytes { asked in
      unsafe asked.isEmpty || memcmp(room.baseAddress!, asked.baseAddress!, asked.count) == 0
    }
  }

  private func keep(_ other: Span<UInt8>, _ place: Int, _ start: Int) {
    let room = unsafe room(place, start, for: other)
    // Safe: the span lends exactly its own bytes for the call, and `room` has as many.
    unsafe other.withUnsafeBytes { unsafe room.copyMemory(from: $0) }
  }
}
