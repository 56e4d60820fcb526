// What is remembered, for how long, and that no flood takes more than the bound.

import DevIssuer
import Testing
import Token

@testable import Verification

@Suite struct TokenCacheTests {
  private static let now = Double(Fixture.now)
  private let keys: KeySet
  private let others: KeySet

  init() throws {
    keys = try Fixture.keySet(of: [Fixture.signers[.es256]!])
    others = try Fixture.keySet(of: [Fixture.signers[.es384]!])
  }

  private func digest(_ number: Int) -> SHA256Digest { Fixture.digest(Array("token \(number)".utf8)) }

  private func payload(_ number: Int, count: Int = 200) -> [UInt8] {
    Array("\(number):".utf8) + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
  }

  private func insert(
    _ number: Int, into cache: inout TokenCache, key: VerificationKey? = nil, validFrom: Double = 0,
    refuseFrom: Double = now + 100, count: Int = 200
  ) -> Bool {
    let bytes = payload(number, count: count)
    return cache.insert(
      digest(number), epoch: cache.epoch, key: key ?? keys.keys[0], validFrom: validFrom, refuseFrom: refuseFrom,
      payload: bytes.span)
  }

  private func find(_ number: Int, in cache: borrowing TokenCache, now: Double = now) -> [UInt8]? {
    guard let hit = cache.lookup(digest(number), now: now) else { return nil }
    return cache.withPayload(of: hit) { span in (0..<span.count).map { span[$0] } }
  }

  private func cache(limit: Int = 1 << 20) -> TokenCache {
    var cache = TokenCache(limit: limit)
    cache.keep(only: [keys])
    return cache
  }

  @Test func `what was remembered is found, and nothing else`() {
    var cache = cache()
    let empty = find(1, in: cache)
    #expect(empty == nil)
    for number in 0..<500 {
      let kept = insert(number, into: &cache)
      #expect(kept)
    }
    for number in 0..<500 {
      let found = find(number, in: cache)
      #expect(found == payload(number))
    }
    let missing = find(500, in: cache)
    #expect(missing == nil)
    #expect(cache.counters.entries == 500)
  }

  @Test(arguments: [
    (-1.0, true), (-0.001, true), (0.0, false), (0.001, false), (1e9, false), (.nan, false), (.infinity, false),
  ])
  func `a token is served before the moment of refusal and never at it`(_ offset: Double, _ served: Bool) {
    var cache = cache()
    _ = insert(1, into: &cache, refuseFrom: Self.now + 100)
    let found = find(1, in: cache, now: Self.now + 100 + offset)
    #expect((found != nil) == served)
  }

  @Test(arguments: [(-1.0, false), (0.0, true), (1.0, true)])
  func `a token is not served before it is valid`(_ offset: Double, _ served: Bool) {
    var cache = cache()
    _ = insert(1, into: &cache, validFrom: Self.now, refuseFrom: Self.now + 100)
    let found = find(1, in: cache, now: Self.now + offset)
    #expect((found != nil) == served)
  }

  @Test func `a token with one byte different, or for another audience, is another token`() throws {
    let token = try Fixture.team.userToken(audience: [Fixture.audience], email: "a@b.c", now: Fixture.now)
    let digest = Fixture.digest(token)
    for at in token.indices {
      var changed = token
      changed[at] ^= 1
      #expect(Fixture.digest(changed) != digest)
    }
    #expect(Fixture.digest(token, audience: Fixture.audience + "0") != digest)
    #expect(Fixture.digest(Array(token.dropFirst()), audience: Fixture.audience) != digest)
    // What is audience and what is token can't be shifted.
    #expect(Fixture.digest(Array("bc".utf8), audience: "a") != Fixture.digest(Array("c".utf8), audience: "ab"))
    // FIPS 180-4's own example, in words.
    let abc = SHA256Digest(of: Array("abc".utf8).span)
    #expect(abc.words == (0xba78_16bf_8f01_cfea, 0x4141_40de_5dae_2223, 0xb003_61a3_9617_7a9c, 0xb410_ff61_f200_15ad))
    // The audience, a zero and the token: the same as one run.
    #expect(Fixture.digest(Array("token".utf8), audience: "aud") == SHA256Digest(of: Array("aud\0token".utf8).span))
  }

  @Test func `the tokens of a key that left are gone at once and for good, the others stay`() throws {
    var cache = TokenCache(limit: 1 << 20)
    let both = try Fixture.keySet(of: [Fixture.signers[.es256]!, Fixture.signers[.es384]!])
    cache.keep(only: [both])
    _ = insert(1, into: &cache, key: both.keys[0])
    _ = insert(2, into: &cache, key: both.keys[1])
    // Another object with the same key: a set that was fetched again.
    cache.keep(only: [try Fixture.keySet(of: [Fixture.signers[.es384]!], generation: 2)])
    let gone = find(1, in: cache)
    let stayed = find(2, in: cache)
    #expect(gone == nil)
    #expect(stayed == payload(2))
    // A new key takes the free place; the old one's tokens are not taken for its own.
    cache.keep(only: [try Fixture.keySet(of: [Fixture.signers[.es384]!, Fixture.signers[.ed25519]!], generation: 3)])
    let mistaken = find(1, in: cache)
    #expect(mistaken == nil)
    cache.keep(only: [both])
    let returned = find(1, in: cache)
    #expect(returned == nil)
    let stillThere = find(2, in: cache)
    #expect(stillThere == payload(2))
    let anew = insert(1, into: &cache, key: both.keys[0])
    let found = find(1, in: cache)
    #expect(anew && found == payload(1))
  }

  @Test func `the same key of another issuer, or under another algorithm, is another key`() throws {
    var cache = cache()
    _ = insert(1, into: &cache)
    cache.keep(only: [try Fixture.keySet(of: [Fixture.signers[.es256]!], issuer: Fixture.cloudflare)])
    let found = find(1, in: cache)
    #expect(found == nil)
  }

  @Test func `a token whose key left while it was being verified is not remembered`() {
    var cache = cache()
    cache.keep(only: [others])
    let kept = insert(1, into: &cache)
    #expect(!kept)
    var untold = TokenCache(limit: 1 << 20)
    let keptUntold = insert(1, into: &untold)
    #expect(!keptUntold)
  }

  @Test func `after a change of settings nothing is left, nor comes in from before`() {
    var cache = cache()
    _ = insert(1, into: &cache)
    let epoch = cache.epoch
    cache.removeAll()
    let found = find(1, in: cache)
    #expect(found == nil)
    #expect(cache.counters.entries == 0)
    #expect(cache.counters.bytes == 0)
    let late = cache.insert(
      digest(2), epoch: epoch, key: keys.keys[0], validFrom: 0, refuseFrom: Self.now + 1, payload: payload(2).span)
    #expect(!late)
    let fresh = insert(3, into: &cache)
    #expect(fresh)
  }

  @Test func `times that leave nothing to serve are not remembered`() {
    var cache = cache()
    for (from, to) in [(1.0, 1.0), (2.0, 1.0), (.nan, 1.0), (1.0, .nan)] {
      let kept = insert(1, into: &cache, validFrom: from, refuseFrom: to)
      #expect(!kept)
    }
  }

  @Test func `a token that is remembered anew is found with its newest reply`() {
    var cache = cache()
    _ = insert(1, into: &cache, count: 10)
    _ = insert(1, into: &cache, count: 300)
    let found = find(1, in: cache)
    #expect(found == payload(1, count: 300))
  }

  @Test(arguments: [64 * 1024, 1 << 20, 3_000_000])
  func `a flood of tokens stays within the bound, and the newest are found`(_ limit: Int) {
    var cache = cache(limit: limit)
    let total = limit / 400
    var largest = 0
    for number in 0..<total {
      // Sizes from nothing to a few KiB, some tokens again.
      let kept = insert(number - number % 3, into: &cache, count: number * 37 % 3000)
      #expect(kept)
      largest = max(largest, cache.counters.bytes)
      #expect(cache.counters.bytes <= limit)
      let found = find(number - number % 3, in: cache)
      #expect(found?.count == payload(number - number % 3, count: number * 37 % 3000).count)
    }
    #expect(largest > limit / 2, "the bound is used")
    #expect(cache.counters.evictions > 0)
    #expect(cache.counters.entries > 0)
    let oldest = find(0, in: cache)
    #expect(oldest == nil)
  }

  @Test func `what the cache says of entries is what can be found`() {
    var cache = cache(limit: 512 * 1024)
    for number in 0..<20_000 { _ = insert(number, into: &cache) }
    var found = 0
    var firstFound: Int?
    for number in 0..<20_000 {
      let bytes = find(number, in: cache)
      guard let bytes else { continue }
      found += 1
      if firstFound == nil { firstFound = number }
      if bytes != payload(number) { Issue.record("token \(number) has another's reply") }
    }
    #expect(found == cache.counters.entries)
    // First in, first out: all that follow the oldest one are there.
    #expect(found == 20_000 - (firstFound ?? 0))
    #expect(cache.counters.evictions == UInt64(20_000 - found))
  }

  @Test func `ten thousand tokens take less than 5 MiB, and an idle cache nothing`() {
    var cache = cache(limit: 64 << 20)
    #expect(cache.counters.bytes == 0)
    for number in 0..<10_000 { _ = insert(number, into: &cache, count: 300) }
    #expect(cache.counters.entries == 10_000)
    #expect(cache.counters.bytes < 5 << 20, "\(cache.counters.bytes) bytes")
  }

  @Test func `replies that do not fit are not remembered, the largest that a token gives is`() {
    var cache = cache(limit: 64 << 20)
    let large = insert(1, into: &cache, count: 20 * 1024)
    #expect(large)
    let tooLarge = insert(2, into: &cache, count: 256 * 1024)
    #expect(!tooLarge)
    #expect(cache.counters.entries == 1)
    var none = self.cache(limit: 1000)
    let kept = insert(1, into: &none)
    let found = find(1, in: none)
    #expect(!kept && found == nil)
    #expect(none.counters.bytes == 0)
  }

  @Test func `chunks in which nothing is good any more give their memory back, one a call`() {
    var cache = cache(limit: 64 << 20)
    for number in 0..<3000 { _ = insert(number, into: &cache, refuseFrom: Self.now + Double(number)) }
    let before = cache.counters
    let hasMore = cache.releaseExpired(now: Self.now + 1500)
    #expect(hasMore)
    #expect(cache.counters.bytes == before.bytes - 256 * 1024)
    #expect(before.entries - cache.counters.entries <= 1024)
    while cache.releaseExpired(now: Self.now + 1500) {}
    for number in 1500..<3000 {
      let found = find(number, in: cache)
      #expect(found == payload(number))
    }
    #expect(cache.counters.evictions == 0)
    while cache.releaseExpired(now: Self.now + 2998) {}
    let last = find(2999, in: cache)
    #expect(last == payload(2999))
    while cache.releaseExpired(now: Self.now + 2999) {}
    #expect(cache.counters == TokenCache.Counters())
    let kept = insert(1, into: &cache, refuseFrom: Self.now + 9000)
    let found = find(1, in: cache)
    #expect(kept && found != nil)
  }

  @Test func `a cache that turned over shrinks, too, and goes on in turn`() {
    var cache = cache(limit: 1 << 20)
    for number in 0..<5000 { _ = insert(number, into: &cache, refuseFrom: Self.now + 10) }
    let full = cache.counters
    while cache.releaseExpired(now: Self.now) {}
    #expect(cache.counters == full)
    // Some of the chunks, which lie anywhere in the ring.
    for number in 5000..<6000 { _ = insert(number, into: &cache, refuseFrom: Self.now + 100) }
    while cache.releaseExpired(now: Self.now + 10) {}
    #expect(cache.counters.bytes < full.bytes)
    for number in 5000..<6000 {
      let found = find(number, in: cache)
      #expect(found == payload(number))
    }
    for number in 6000..<12_000 {
      _ = insert(number, into: &cache, refuseFrom: Self.now + 100)
      #expect(cache.counters.bytes <= cache.limit)
    }
    let newest = find(11_999, in: cache)
    #expect(newest == payload(11_999))
  }
}

@Suite struct TokenIndexTests {
  @Test func `places are found under their hash, whatever collides and leaves`() {
    var index = TokenIndex()
    index.grow(to: 64)
    // A reference: hash to places. Hashes collide wholly (mod 5) and in their home slot (mod 64).
    var expected: [UInt32: Set<Int>] = [:]
    var generator = SystemRandomNumberGenerator()
    for step in 0..<20_000 {
      let hash = UInt32.random(in: 0..<5, using: &generator) * 64 + UInt32.random(in: 60..<66, using: &generator)
      let entry = Int.random(in: 0..<4, using: &generator)
      let location = TokenIndex.Location(chunk: 3, entry: entry)
      if expected[hash]?.contains(entry) == true {
        index.remove(hash, at: location)
        expected[hash]?.remove(entry)
      } else {
        if !index.hasRoom { index.grow(to: index.slotCount * 2) }
        index.insert(hash, at: location)
        expected[hash, default: []].insert(entry)
      }
      if step % 100 == 0 {
        for (hash, entries) in expected {
          var found: Set<Int> = []
          var probe = index.probe(hash)
          while let location = index.next(&probe) { found.insert(location.entry) }
          #expect(found == entries)
        }
      }
    }
    #expect(index.count == expected.values.reduce(0) { $0 + $1.count })
  }

  @Test func `without a seed of its own no two caches lay digests out alike, and they spread`() {
    // Digests that share their last bits, as an attacker would grind them, under one fixed and many random seeds.
    let digests = (0..<4096).map { SHA256Digest(words: (UInt64($0) << 32, 0, 0, 0)) }
    let seed = (UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max))
    var loads = [Int](repeating: 0, count: 256)
    let cache = TokenCache(limit: 1 << 20, seed: seed)
    for digest in digests { loads[Int(cache.hash(digest) % 256)] += 1 }
    // 16 are expected in each; 64 in one would be chance once in more than 10^15 runs.
    #expect(loads.max()! < 64)
    let other = TokenCache(limit: 1 << 20)
    #expect(digests.contains { cache.hash($0) != other.hash($0) })
  }
}
