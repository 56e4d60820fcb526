// When to fetch a key set: a pure state machine. An event goes in with the time, one action comes out; no clock, no
// timer, no I/O, no randomness of its own. KeySource drives it.

/// Why a fetch is made.
enum FetchCause: String, Sendable, CaseIterable {
  case start, schedule, retry
  case unknownKid = "unknown_kid"
  case hangUp = "hang_up"
  /// The `file:` that the keys come from is another.
  case change
}

/// What the driver must do now.
enum KeyAction: Equatable, Sendable {
  case none
  /// Start a fetch; its end must be told by `fetchSucceeded` or `fetchFailed`.
  case fetch(FetchCause)
  /// Unknown `kid`s have caused as many fetches as they may for now.
  case refuseUnknownKid
}

/// Times are milliseconds of a monotonic clock; `random` is from 0 up to 1.
struct KeySchedule: Equatable, Sendable {
  /// Fetches that unknown `kid`s may cause at once, and the milliseconds until one more may follow: or whoever sends tokens
  /// would set our fetching rate. Several, because a stranger's junk must not use up the one of a rotation.
  static let unknownKidBucket = 3
  static let unknownKidRefill: Int64 = 10_000
  static let firstRetry: Int64 = 1_000
  static let longestRetry: Int64 = 60_000
  /// A `Retry-After` beyond this is not believed.
  static let longestRetryAfter: Int64 = 3_600_000

  let refresh: Int64
  let maxAge: Int64

  private(set) var isFetching = false
  /// A hang-up or a change came during a fetch, which may have been answered before what it is about.
  private var nextCause: FetchCause?
  private var failures = 0
  private var unknownKidFetchesLeft = unknownKidBucket
  /// When the bucket was last given one, or was drawn from while it was full.
  private var refilledAt: Int64 = 0
  private var nextFetch: Int64?
  /// When the set in use was fetched; nil while there is none.
  private(set) var lastSuccess: Int64?

  /// - Parameters:
  ///   - refresh: milliseconds between scheduled fetches, before jitter; at most half of `maxAge` is waited.
  ///   - maxAge: milliseconds after which a set that could not be refreshed is no longer trusted.
  init(refresh: Int64, maxAge: Int64) {
    self.refresh = refresh
    self.maxAge = maxAge
  }

  /// When `timerFired` wants to be called; nil while a fetch is under way and no set can go stale.
  var nextTimer: Int64? {
    let stale = lastSuccess.map { $0 + maxAge }
    let fetch = isFetching ? nil : nextFetch
    return [stale, fetch].compactMap { $0 }.min()
  }

  /// Whether a set was had, and too long ago.
  func isStale(at now: Int64) -> Bool { lastSuccess.map { now - $0 >= maxAge } ?? false }

  /// A set from a state file is in use, fetched `age` milliseconds ago. Call before `start`.
  mutating func restore(at now: Int64, age: Int64) { lastSuccess = now - max(age, 0) }

  mutating func start() -> KeyAction { begin(.start) }

  mutating func timerFired(at now: Int64) -> KeyAction {
    if isStale(at: now) { lastSuccess = nil }
    guard !isFetching, let due = nextFetch, now >= due else { return .none }
    return begin(failures > 0 ? .retry : .schedule)
  }

  mutating func unknownKid(at now: Int64) -> KeyAction {
    // The fetch under way will tell; it does not use up the budget.
    if isFetching { return .none }
    refill(at: now)
    guard unknownKidFetchesLeft > 0 else { return .refuseUnknownKid }
    if unknownKidFetchesLeft == Self.unknownKidBucket { refilledAt = now }
    unknownKidFetchesLeft -= 1
    return begin(.unknownKid)
  }

  /// When the next unknown `kid` may cause a fetch; nil: at once.
  var nextUnknownKidFetch: Int64? { unknownKidFetchesLeft > 0 ? nil : refilledAt + Self.unknownKidRefill }

  private mutating func refill(at now: Int64) {
    let due = max(now - refilledAt, 0) / Self.unknownKidRefill
    guard due > 0 else { return }
    unknownKidFetchesLeft = Int(min(Int64(unknownKidFetchesLeft) + due, Int64(Self.unknownKidBucket)))
    refilledAt += due * Self.unknownKidRefill
  }

  /// SIGHUP: at once, whatever the bucket and the back-off say.
  mutating func hangUp() -> KeyAction { beginOrRemember(.hangUp) }

  mutating func changed() -> KeyAction { beginOrRemember(.change) }

  private mutating func beginOrRemember(_ cause: FetchCause) -> KeyAction {
    guard !isFetching else {
      nextCause = cause
      return .none
    }
    return begin(cause)
  }

  mutating func fetchSucceeded(at now: Int64, random: Double) -> KeyAction {
    isFetching = false
    failures = 0
    lastSuccess = now
    // A tenth either way, so that many gateways don't ask in step; and early enough for a retry or two before the set is
    // too old, however long the interval.
    nextFetch = now + min(Int64(Double(refresh) * (0.9 + 0.2 * random)), maxAge / 2)
    return again()
  }

  /// - Parameter retryAfter: seconds that the server asked for.
  mutating func fetchFailed(at now: Int64, retryAfter: Int?, random: Double) -> KeyAction {
    isFetching = false
    failures = min(failures + 1, 16)
    let backOff = min(Self.firstRetry << Int64(failures - 1), Self.longestRetry)
    let jittered = Int64(Double(backOff) * (0.75 + 0.25 * random))
    let asked = min(Int64(max(retryAfter ?? 0, 0)) * 1000, Self.longestRetryAfter)
    nextFetch = now + max(jittered, asked)
    return again()
  }

  private mutating func again() -> KeyAction {
    guard let cause = nextCause else { return .none }
    nextCause = nil
    return begin(cause)
  }

  private mutating func begin(_ cause: FetchCause) -> KeyAction {
    isFetching = true
    return .fetch(cause)
  }
}
