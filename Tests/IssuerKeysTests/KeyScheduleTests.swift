import Seeding
import Testing

@testable import IssuerKeys

@Suite("When keys are fetched")
struct KeyScheduleTests {
  private func started() -> KeySchedule {
    var schedule = KeySchedule(refresh: 3_600_000, maxAge: 604_800_000)
    #expect(schedule.start() == .fetch(.start))
    return schedule
  }

  private func ready(at now: Int64 = 0) -> KeySchedule {
    var schedule = started()
    #expect(schedule.fetchSucceeded(at: now, random: 0.5) == .none)
    return schedule
  }

  @Test(arguments: [(0.0, 3_240_000), (0.5, 3_600_000), (1.0, 3_960_000)] as [(Double, Int64)])
  func `a refresh is due after the interval, a tenth sooner or later`(_ random: Double, _ due: Int64) {
    var schedule = started()
    _ = schedule.fetchSucceeded(at: 0, random: random)
    #expect(schedule.nextTimer == due)
    #expect(schedule.timerFired(at: due - 1) == .none)
    #expect(schedule.timerFired(at: due) == .fetch(.schedule))
  }

  @Test(arguments: [0.0, 0.5, 0.999]) func `a refresh is due well before the set is too old, however long the interval`(
    _ random: Double
  ) {
    for (refresh, age) in [(1_000, 1_000), (3_600_000, 3_600_000), (900, 1_000)] as [(Int64, Int64)] {
      var schedule = KeySchedule(refresh: refresh, maxAge: age)
      _ = schedule.start()
      var now: Int64 = 0
      for _ in 0..<20 {
        _ = schedule.fetchSucceeded(at: now, random: random)
        now = schedule.nextTimer ?? 0
        #expect(schedule.timerFired(at: now) == .fetch(.schedule))
        // Another quarter of the age for the fetch, and the set that serves is not too old yet.
        now += age / 4
        #expect(schedule.timerFired(at: now) == .none)
        #expect(schedule.lastSuccess != nil && !schedule.isStale(at: now))
      }
    }
  }

  @Test func `retries back off from one second to sixty and start over after a success`() {
    var schedule = started()
    var now: Int64 = 0
    for expected in [1, 2, 4, 8, 16, 32, 60, 60, 60].map({ Int64($0) * 1000 }) {
      #expect(schedule.fetchFailed(at: now, retryAfter: nil, random: 1) == .none)
      #expect(schedule.nextTimer == now + expected)
      now += expected
      #expect(schedule.timerFired(at: now) == .fetch(.retry))
    }
    _ = schedule.fetchSucceeded(at: now, random: 0.5)
    #expect(schedule.hangUp() == .fetch(.hangUp))
    _ = schedule.fetchFailed(at: now, retryAfter: nil, random: 1)
    #expect(schedule.nextTimer == now + 1000)
  }

  @Test func `jitter never takes more than a quarter off a retry`() {
    var schedule = started()
    _ = schedule.fetchFailed(at: 0, retryAfter: nil, random: 0)
    #expect(schedule.nextTimer == 750)
  }

  @Test(arguments: [(5, 5_000), (86_400 * 365, 3_600_000), (-1, 1_000), (0, 1_000)] as [(Int, Int64)])
  func `Retry-After is honoured up to an hour`(_ seconds: Int, _ due: Int64) {
    var schedule = started()
    _ = schedule.fetchFailed(at: 0, retryAfter: seconds, random: 1)
    #expect(schedule.nextTimer == due)
  }

  @Test func `three unknown kids cause a fetch each, then one more each ten seconds`() {
    var schedule = ready()
    func ask(_ time: Int64) -> KeyAction {
      let action = schedule.unknownKid(at: time)
      if case .fetch = action { _ = schedule.fetchSucceeded(at: time, random: 0.5) }
      return action
    }
    #expect(schedule.nextUnknownKidFetch == nil)
    for time in [1_000, 1_001, 1_002] as [Int64] { #expect(ask(time) == .fetch(.unknownKid)) }
    #expect(ask(1_003) == .refuseUnknownKid)
    #expect(schedule.nextUnknownKidFetch == 11_000)
    #expect(ask(10_999) == .refuseUnknownKid)
    #expect(ask(11_000) == .fetch(.unknownKid))
    #expect(ask(11_001) == .refuseUnknownKid)
    // A long quiet fills the bucket, and no more than that.
    for time in [500_000, 500_001, 500_002] as [Int64] { #expect(ask(time) == .fetch(.unknownKid)) }
    #expect(ask(500_003) == .refuseUnknownKid)
  }

  @Test(arguments: [1, 7, 100, 1000])
  func `a flood of unknown kids is nine fetches in the first minute and six in each after it`(_ pause: Int) {
    var schedule = ready()
    var minutes = [Int](repeating: 0, count: 5)
    for time in stride(from: Int64(0), to: 300_000, by: pause) {
      if case .fetch = schedule.unknownKid(at: time) {
        minutes[Int(time / 60_000)] += 1
        _ = schedule.fetchSucceeded(at: time, random: 0.5)
      }
    }
    #expect(minutes[0] <= 9 && minutes[0] >= 8)
    #expect(minutes[1...].allSatisfy { $0 == 6 })
  }

  @Test func `an unknown kid during a fetch causes none`() {
    var schedule = ready()
    #expect(schedule.unknownKid(at: 1_000) == .fetch(.unknownKid))
    #expect(schedule.unknownKid(at: 1_001) == .none)
  }

  @Test func `a fetch under way for another reason leaves the budget of unknown kids alone`() {
    var schedule = started()
    #expect(schedule.unknownKid(at: 10) == .none)
    _ = schedule.fetchSucceeded(at: 20, random: 0.5)
    #expect(schedule.unknownKid(at: 30) == .fetch(.unknownKid))
  }

  @Test func `an unknown kid is fetched for although retries are backing off`() {
    var schedule = started()
    for _ in 0..<6 { _ = schedule.fetchFailed(at: 0, retryAfter: nil, random: 1) }
    #expect(schedule.unknownKid(at: 1) == .fetch(.unknownKid))
  }

  @Test func `a hang-up fetches at once, whatever the back-off and the budget say`() {
    var schedule = started()
    _ = schedule.fetchFailed(at: 0, retryAfter: 3_000, random: 1)
    #expect(schedule.hangUp() == .fetch(.hangUp))
    _ = schedule.fetchSucceeded(at: 1, random: 0.5)
    for _ in 0..<3 {
      #expect(schedule.unknownKid(at: 2) == .fetch(.unknownKid))
      _ = schedule.fetchFailed(at: 2, retryAfter: 3_000, random: 1)
    }
    #expect(schedule.unknownKid(at: 2) == .refuseUnknownKid)
    #expect(schedule.hangUp() == .fetch(.hangUp))
  }

  @Test func `a hang-up during a fetch fetches once more when that has ended`() {
    var schedule = started()
    #expect(schedule.hangUp() == .none)
    #expect(schedule.hangUp() == .none)
    #expect(schedule.fetchSucceeded(at: 5, random: 0.5) == .fetch(.hangUp))
    #expect(schedule.fetchSucceeded(at: 6, random: 0.5) == .none)
  }

  @Test func `a set that could not be refreshed for its greatest age is stale`() {
    var schedule = ready()
    #expect(schedule.hangUp() == .fetch(.hangUp))
    #expect(schedule.nextTimer == 604_800_000)
    #expect(!schedule.isStale(at: 604_799_999))
    #expect(schedule.isStale(at: 604_800_000))
    #expect(schedule.timerFired(at: 604_800_000) == .none)
    #expect(schedule.lastSuccess == nil)
  }

  @Test func `a restored set is as old as it is, and a fetch follows at once`() {
    var schedule = KeySchedule(refresh: 3_600_000, maxAge: 604_800_000)
    schedule.restore(at: 1_000, age: 600_000_000)
    #expect(schedule.nextTimer == 4_801_000)
    #expect(schedule.start() == .fetch(.start))
    #expect(!schedule.isStale(at: 4_800_999) && schedule.isStale(at: 4_801_000))
    _ = schedule.fetchFailed(at: 2_000, retryAfter: nil, random: 1)
    #expect(!schedule.isStale(at: 4_800_999) && schedule.isStale(at: 4_801_000))
    _ = schedule.fetchSucceeded(at: 3_000, random: 0.5)
    #expect(!schedule.isStale(at: 604_802_999) && schedule.isStale(at: 604_803_000))
  }

  @Test func `an age below zero, after a clock was set back, is none`() {
    var schedule = KeySchedule(refresh: 1_000, maxAge: 10_000)
    schedule.restore(at: 0, age: -50_000)
    #expect(schedule.isStale(at: 10_000))
  }

  @Test func `a change of the file fetches at once, or once more behind the fetch under way`() {
    var schedule = ready()
    #expect(schedule.changed() == .fetch(.change))
    #expect(schedule.changed() == .none)
    #expect(schedule.fetchFailed(at: 5, retryAfter: nil, random: 1) == .fetch(.change))
    #expect(schedule.fetchFailed(at: 6, retryAfter: nil, random: 1) == .none)
  }

  @Test func `whatever happens in whatever order, two fetches are never under way and a timer is set for the next`() {
    var random = SeededGenerator.ofThisRun()
    for _ in 0..<200 {
      var schedule = KeySchedule(refresh: 60_000, maxAge: 600_000)
      if Bool.random(using: &random) { schedule.restore(at: 0, age: Int64.random(in: 0..<700_000, using: &random)) }
      var now: Int64 = 0
      var isFetching = true
      var unknownKidFetches: [Int64] = []
      #expect(schedule.start() == .fetch(.start))
      for _ in 0..<200 {
        now += Int64.random(in: 0..<20_000, using: &random)
        let action: KeyAction
        switch Int.random(in: 0..<6, using: &random) {
        case 0: action = schedule.unknownKid(at: now)
        case 1: action = schedule.hangUp()
        case 2: action = schedule.changed()
        case 3 where isFetching:
          isFetching = false
          action = schedule.fetchSucceeded(at: now, random: 0.3)
        case 4 where isFetching:
          isFetching = false
          action = schedule.fetchFailed(at: now, retryAfter: Int.random(in: -1..<90, using: &random), random: 0.3)
        default: action = schedule.timerFired(at: now)
        }
        if case .fetch(let cause) = action {
          #expect(!isFetching)
          isFetching = true
          if cause == .unknownKid {
            unknownKidFetches.append(now)
            // Never more than the bucket in any ten seconds.
            #expect(unknownKidFetches.count { now - $0 < 10_000 } <= 4)
          }
        }
        #expect(schedule.isFetching == isFetching)
        #expect(isFetching || schedule.nextTimer != nil)
      }
    }
  }
}

@Suite("When the wall clock is set")
struct ClockStepTests {
  @Test func `clocks that go on together have not been set, however long it took`() {
    var clock = ClockStep()
    #expect(clock.observe(wall: 1_000, monotonic: 5) == nil)
    #expect(clock.observe(wall: 1_060, monotonic: 65) == nil)
    #expect(clock.observe(wall: 601_060, monotonic: 600_065) == nil)
    #expect(clock.observe(wall: 601_119, monotonic: 600_065) == nil)
  }

  @Test(arguments: [61.0, -61, 86_400, -86_400]) func `a step is told once, with its size`(_ step: Double) {
    var clock = ClockStep()
    #expect(clock.observe(wall: 1_000_000, monotonic: 5) == nil)
    #expect(clock.observe(wall: 1_000_060 + step, monotonic: 65) == step)
    #expect(clock.observe(wall: 1_000_120 + step, monotonic: 125) == nil)
  }
}

@Suite("The list of keys for people")
struct KeyListingTests {
  @Test func `a list has a line a key, with what is known of it`() {
    let listing = KeyListing(
      issuer: "https://a", source: "https://a/k", fetchedAt: 1_700_000_000,
      keys: [
        .init(
          kid: "one", algorithm: "RS256", bits: 2048, firstSeen: 1_600_000_000, lastUsed: 1_650_000_000, verified: 12),
        .init(kid: "longer", algorithm: "EdDSA", bits: 256, firstSeen: nil, lastUsed: nil, verified: nil),
      ])
    let empty = KeyListing(issuer: "https://b", source: "file:/k", fetchedAt: nil, keys: [])
    #expect(
      KeyListing.text([listing, empty]) == """
        issuer https://a
        from   https://a/k
        set    2023-11-14T22:13:20Z
          kid     algorithm  bits  first seen            last used             verified
          one     RS256      2048  2020-09-13T12:26:40Z  2022-04-15T05:20:00Z  12
          longer  EdDSA      256   -                     -                     -

        issuer https://b
        from   file:/k
        set    none

        """)
  }
}
