// A seeded hash of an audience and a token: where they lie in a table. It proves nothing: whoever finds something under a
// hash compares all bytes. So it may be fast; the secret seed keeps strangers from choosing tokens that share a place.

import Glibc

/// A hash function of this process alone (multiply and fold, as wyhash does). Any thread; allocates nothing.
public struct TokenHash: Sendable {
  private let seed: (UInt64, UInt64)

  /// The default seed is fresh randomness of the system (getrandom); a test may fix it.
  public init(seed: (UInt64, UInt64)? = nil) {
    self.seed = seed ?? (UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max))
  }

  /// By all bytes: for tables that hold what strangers send.
  public func ofAll(audience: Span<UInt8>, token: Span<UInt8>) -> UInt64 {
    add(token, to: add(audience, to: seed.0))
  }

  /// By the last 32 bytes of the token, which are its signature's, and by the audience's end: for tables of verified tokens,
  /// whose signatures strangers can't choose. Costs the same for tokens of any length.
  func ofEnd(audience: Span<UInt8>, token: Span<UInt8>) -> UInt64 {
    let end = token.extracting(max(token.count - 32, 0)..<token.count)
    let audienceEnd = audience.extracting(max(audience.count - 16, 0)..<audience.count)
    return add(end, to: add(audienceEnd, to: seed.0 ^ UInt64(truncatingIfNeeded: token.count)))
  }

  private func add(_ bytes: Span<UInt8>, to start: UInt64) -> UInt64 {
    var hash = start ^ UInt64(truncatingIfNeeded: bytes.count)
    // Safe: the raw view of a span of bytes has the same bounds.
    let raw = unsafe bytes.bytes
    var at = 0
    while at + 16 <= raw.byteCount {
      hash = mix(hash ^ word(raw, at), seed.1 ^ word(raw, at + 8))
      at += 16
    }
    if at < raw.byteCount {
      var rest: (UInt64, UInt64) = (0, 0)
      while at + 8 <= raw.byteCount {
        rest.0 = word(raw, at)
        at += 8
      }
      while at < bytes.count {
        rest.1 = rest.1 << 8 | UInt64(bytes[at])
        at += 1
      }
      hash = mix(hash ^ rest.0, seed.1 ^ rest.1)
    }
    // With the seed once more, so that a product that became zero by chance does not swallow what follows.
    return mix(hash ^ seed.0, seed.1)
  }

  // Safe: eight bytes of any value are a number, and the span checks that they are its own.
  @inline(__always)
  private func word(_ raw: RawSpan, _ at: Int) -> UInt64 {
    unsafe raw.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self)
  }

  @inline(__always)
  private func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }
}

extension Span where Element == UInt8 {
  /// Whether both have the same bytes. Takes as long as the bytes that agree.
  package func hasSameBytes(as other: Span<UInt8>) -> Bool {
    guard count == other.count else { return false }
    guard count > 0 else { return true }
    // Safe: both have `count` bytes, and memcmp only reads.
    return unsafe withUnsafeBytes { own in
      unsafe other.withUnsafeBytes { other in
        unsafe memcmp(own.baseAddress!, other.baseAddress!, own.count) == 0
      }
    }
  }
}
