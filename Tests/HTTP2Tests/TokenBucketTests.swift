// The rate behind most bounds of a connection.

import HTTP2
import Testing

@Suite struct TokenBucketTests {
  private static let second: UInt64 = 1_000_000_000

  private func take(_ count: Int, _ bucket: inout TokenBucket, now: UInt64) -> Int {
    var taken = 0
    for _ in 0..<count where bucket.take(now: now) { taken += 1 }
    return taken
  }

  @Test func `a burst is taken at once, and then the rate`() {
    var bucket = TokenBucket(burst: 3, perSecond: 2)
    #expect(take(4, &bucket, now: 7) == 3)
    #expect(take(3, &bucket, now: 7 + Self.second) == 2)
    #expect(take(1, &bucket, now: 7 + Self.second * 3 / 2 - 1) == 0)
    #expect(take(1, &bucket, now: 7 + Self.second * 3 / 2) == 1)
  }

  @Test func `small steps of time are not lost`() {
    var bucket = TokenBucket(burst: 1, perSecond: 1)
    var taken = 0
    for step in 0..<100 { taken += bucket.take(now: UInt64(step) * Self.second / 10) ? 1 : 0 }
    #expect(taken == 10)
  }

  @Test(arguments: [UInt64.max, 1 << 63])
  func `no time is too long`(now: UInt64) {
    var bucket = TokenBucket(burst: .max, perSecond: .max)
    #expect(take(1, &bucket, now: 0) == 1)
    #expect(take(1, &bucket, now: now) == 1)
  }

  @Test func `a clock that goes back gives nothing back`() {
    var bucket = TokenBucket(burst: 1, perSecond: 1000)
    #expect(take(1, &bucket, now: Self.second) == 1)
    #expect(take(1, &bucket, now: 0) == 0)
  }
}
