import Testing

@testable import Gateway

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

  @Test func `one unknown kid in thirty seconds causes a fetch`() {
    var schedule = ready()
    #expect(schedule.unknownKid(at: 1_000) == .fetch(.unknownKid))
    #expect(schedule.unknownKid(at: 1_001) == .none)
    _ = schedule.fetchSucceeded(at: 1_100, random: 0.5)
    #expect(schedule.unknownKid(at: 1_200) == .refuseUnknownKid)
    #expect(schedule.unknownKid(at: 30_999) == .refuseUnknownKid)
    #expect(schedule.unknownKid(at: 31_000) == .fetch(.unknownKid))
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
}
