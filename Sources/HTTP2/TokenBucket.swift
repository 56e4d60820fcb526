// A rate with a burst, over a clock that is given. Pure.

/// So many at once, and so many more each second. Times are nanoseconds of a clock that never goes back.
public struct TokenBucket: Equatable, Sendable {
  /// How many may be taken at once.
  public let burst: UInt16
  /// How many come back a second.
  public let perSecond: UInt16
  private var taken: UInt16 = 0
  private var since: UInt64 = 0

  /// A full bucket.
  public init(burst: UInt16, perSecond: UInt16) {
    self.burst = burst
    self.perSecond = perSecond
  }

  /// Takes one at the time `now`. False: there is none left.
  public mutating func take(now: UInt64) -> Bool {
    if taken == 0 {
      since = now
    } else if now > since {
      // So many seconds fill any bucket, and the products stay below 2^63.
      let elapsed = min(now - since, 1_000_000_000 * UInt64(burst))
      let back = elapsed * UInt64(perSecond) / 1_000_000_000
      if back >= UInt64(taken) {
        taken = 0
        since = now
      } else if back > 0 {
        taken -= UInt16(truncatingIfNeeded: back)
        // What is left of a token's time counts for the next one.
        since += back * 1_000_000_000 / UInt64(perSecond)
      }
    }
    guard taken < burst else { return false }
    taken += 1
    return true
  }
}
