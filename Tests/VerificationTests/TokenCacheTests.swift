// What is remembered, for how long, and that no flood takes more than the bound.

import DevIssuer
import Seeding
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

  private static let audience = Array("aud".utf8)

  private func token(_ number: Int) -> [UInt8] { Array("token \(number)".utf8) }

  private func payload(_ number: Int, count: Int = 200) -> [UInt8] {
    Array("\(number):".utf8) + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: count)
  }

  private func insert(
    _ number: Int, into cache: inout TokenCache, key: VerificationKey? = nil, validFrom: Double = 0,
    refuseFrom: Double = now + 100, count: Int = 200
  ) -> Bool {
    let bytes = payload(number, count: count)
    let token = token(number)
    return cache.insert(
      audience: Self.audience.span, token: token.span, key: key ?? keys.keys[0],
      validFrom: validFrom, refuseFrom: refuseFrom,
      payload: bytes.span)
  }

  private func find(_ number: Int, in cache: borrowing TokenCache, now: Double = now) -> [UInt8]? {
    let token = token(number)
    guard let hit = cache.lookup(audience: Self.audience.span, token: token.span, now: now) else { return nil }
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
    var cache = cache()
    let kept = remember(token, Fixture.audience, in: &cache)
    let known = isKnown(token, in: cache)
    #expect(kept && known)
    for at in token.indices {
      var changed = token
      changed[at] ^= 1
      let mistaken = isKnown(changed, in: cache)
      #expect(!mistaken, "at \(at)")
    }
    for other in [Array(token.dropFirst()), Array(token.dropLast()), []] {
      let mistaken = isKnown(other, in: cache)
      #expect(!mistaken)
    }
    let elsewhere = isKnown(token, Fixture.audience + "0", in: cache)
    #expect(!elsewhere)
    // What is audience and what is token can't be shifted.
    _ = remember(Array("bc".utf8), "a", in: &cache)
    let own = isKnown(Array("bc".utf8), "a", in: cache)
    let shifted = isKnown(Array("c".utf8), "ab", in: cache)
    let joined = isKnown(Array("abc".utf8), "", in: cache)
    #expect(own && !shifted && !joined)
  }

  private func remember(_ token: [UInt8], _ audience: String, in cache: inout TokenCache) -> Bool {
    let audience = Array(audience.utf8)
    let payload: [UInt8] = [1]
    return cache.insert(
      audience: audience.span, token: token.span, key: keys.keys[0], validFrom: 0,
      refuseFrom: Self.now + 100, payload: payload.span)
  }

  private func isKnown(
    _ token: [UInt8], _ audience: String = Fixture.audience, in cache: borrowing TokenCache
  ) -> Bool {
    let audience = Array(audience.utf8)
    return cache.lookup(audience: audience.span, token: token.span, now: Self.now) != nil
  }

  @Test func `the bytes decide where hashes agree`() {
    // Equal ends, equal lengths: one place in the index for all.
    var cache = cache()
    let end = [UInt8](repeating: 7, count: 64)
    for number in 0..<200 as Range<UInt8> {
      let kept = remember([number] + end, "aud", in: &cache)
      #expect(kept)
    }
    for number in 0..<201 as Range<UInt8> {
      let known = isKnown([number] + end, "aud", in: cache)
      #expect(known == (number < 200))
    }
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

  @Test func `after a change of settings nothing is left, and what comes later is remembered`() {
    var cache = cache()
    _ = insert(1, into: &cache)
    cache.removeAll()
    let found = find(1, in: cache)
    #expect(found == nil)
    #expect(cache.counters.entries == 0)
    #expect(cache.counters.bytes == 0)
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
    #expect(cache.counters.entries == 1)
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

  @Test func `ten thousand tokens of 1,000 bytes take less than 15 MiB, and an idle cache nothing`() {
    var cache = cache(limit: 64 << 20)
    #expect(cache.counters.bytes == 0)
    for number in 0..<10_000 { _ = insert(number, into: &cache, count: 1300) }
    #expect(cache.counters.entries == 10_000)
    #expect(cache.counters.bytes < 15 << 20, "\(cache.counters.bytes) bytes")
  }

  @Test func `no byte of a token is left in memory once it is gone`() {
    var memory = CacheMemory(count: 1 << 16)
    let secret = Array("a secret".utf8)
    memory.store(secret.span, at: 5000)
    let isThere = memory.holds(secret.span, at: 5000)
    memory.erase(5000..<5008)
    let zeros = [UInt8](repeating: 0, count: 8)
    let isGone = memory.holds(zeros.span, at: 5000)
    memory.store(secret.span, at: 5000)
    memory.erase(0..<1 << 16)
    memory.giveBack(0..<1 << 16)
    let isZero = memory.withBytes(0..<1 << 16) { bytes in bytes.indices.allSatisfy { bytes[$0] == 0 } }
    #expect(isThere && isGone && isZero)
  }

  @Test(arguments: ["remembered anew", "swept", "key left", "made room for", "all removed"])
  func `the bytes of a token are erased when it is`(_ why: String) {
    var cache = cache(limit: 64 * 1024)
    _ = insert(77_777, into: &cache, refuseFrom: Self.now + 10)
    _ = insert(1, into: &cache, key: keys.keys[0], refuseFrom: Self.now + 100)
    let secret = token(77_777)
    let payloadBytes = payload(77_777)
    let before = cache.holdsAnywhere(secret) && cache.holdsAnywhere(payloadBytes)
    #expect(before)
    switch why {
    case "remembered anew": _ = insert(77_777, into: &cache, count: 20)
    case "swept": while cache.releaseExpired(now: Self.now + 10) {}
    case "key left":
      cache.keep(only: [others])
      while cache.releaseExpired(now: Self.now) {}
    case "made room for": for number in 100..<1000 { _ = insert(number, into: &cache) }
    default: cache.removeAll()
    }
    let payloadIsLeft = cache.holdsAnywhere(payloadBytes)
    let tokenIsLeft = cache.holdsAnywhere(secret)
    #expect(!payloadIsLeft)
    #expect(tokenIsLeft == (why == "remembered anew"))
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
    // Each is swept by its own time, not with its chunk's last.
    #expect(cache.counters.entries == 1499)
    for number in 1501..<3000 {
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
    var expected: [UInt32: Set<UInt32>] = [:]
    var generator = SeededGenerator.ofThisRun()
    for step in 0..<20_000 {
      let hash = UInt32.random(in: 0..<5, using: &generator) * 64 + UInt32.random(in: 60..<66, using: &generator)
      // The first place, the last one, and some between.
      let entry = [0, 1, 0x8000_0000, UInt32.max - 1].randomElement(using: &generator)!
      if expected[hash]?.contains(entry) == true {
        index.remove(hash, at: entry)
        expected[hash]?.remove(entry)
      } else {
        if !index.hasRoom { index.grow(to: index.slotCount * 2) }
        index.insert(hash, at: entry)
        expected[hash, default: []].insert(entry)
      }
      if step % 100 == 0 {
        for (hash, entries) in expected {
          var found: Set<UInt32> = []
          var probe = index.probe(hash)
          while let place = index.next(&probe) { found.insert(place) }
          #expect(found == entries)
        }
      }
    }
    #expect(index.count == expected.values.reduce(0) { $0 + $1.count })
  }

  @Test func `without a seed of its own no two caches lay tokens out alike, and they spread`() {
    // Tokens that share all but two bytes of their end, as an attacker would choose them.
    let tokens = (0..<4096).map { number in
      [UInt8](repeating: 65, count: 62) + [UInt8(number >> 6), UInt8(number & 63)]
    }
    let audience = Array("aud".utf8)
    var loads = [Int](repeating: 0, count: 256)
    let cache = TokenCache(limit: 1 << 20)
    for token in tokens { loads[Int(cache.place(of: audience.span, token.span) % 256)] += 1 }
    // 16 are expected in each; 64 in one would be chance once in more than 10^15 runs.
    #expect(loads.max()! < 64)
    let other = TokenCache(limit: 1 << 20)
    var differ = 0
    for token in tokens where cache.place(of: audience.span, token.span) != other.place(of: audience.span, token.span) {
      differ += 1
    }
    #expect(differ > 4000)
  }

  @Test func `a hash of all bytes changes with each of them, whatever the length`() {
    let hash = TokenHash(seed: (1, 2))
    for count in 0..<50 {
      let token = (0..<count).map { UInt8($0) }
      let audience = Array("aud".utf8)
      let own = hash.ofAll(audience: audience.span, token: token.span)
      func hashed(_ hash: TokenHash, _ token: [UInt8], _ audience: [UInt8]) -> UInt64 {
        hash.ofAll(audience: audience.span, token: token.span)
      }
      #expect(own == hashed(TokenHash(seed: (1, 2)), token, audience))
      #expect(own != hashed(TokenHash(seed: (1, 3)), token, audience))
      #expect(own != hashed(hash, token, Array("auf".utf8)))
      #expect(own != hashed(hash, token + [0], audience))
      for at in token.indices {
        var changed = token
        changed[at] ^= 0x80
        #expect(own != hashed(hash, changed, audience), "\(at) of \(count)")
      }
    }
  }
}
