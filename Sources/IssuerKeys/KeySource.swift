// Keeps one issuer's key set fresh: tells KeySchedule what happens, does what it says, and replaces the set by a usable one
// only; nothing that fails changes what serves. No clock, network, file or log is touched here: what it needs of them comes
// in (Dependencies, KeyStateKeeper, KeyFileWatch, KeyReports), so that tests drive it with their own time and answers.

import EventLoops
import HTTPFetch
import POSIX
import Telemetry
import Verification

/// Calls back once after a time; the loop's timer, or a test's.
protocol OneShotTimer: AnyObject {
  /// In place of an earlier schedule.
  func schedule(afterMilliseconds milliseconds: Int64)
  func cancel()
}

extension LoopTimer: OneShotTimer {}

/// What a key source tells its owner.
enum KeySourceEvent: Equatable, Sendable {
  case fetchBegins
  /// `keys` is another set, or none, or the first fetch has failed. Not before `start`.
  case changed
  /// A fetch that the bell has promised has ended, or will not come; its number. After `changed`.
  case promisedFetchEnded(UInt64)
}

/// Thread: the control loop's.
final class KeySource {
  /// What is different in a test.
  struct Dependencies {
    /// Milliseconds of a clock that never steps.
    var now: () -> Int64
    /// Seconds since 1970.
    var wallSeconds: () -> Int
    /// From 0 up to 1.
    var random: () -> Double
    var makeTimer: (_ action: @escaping () -> Void) -> any OneShotTimer
    /// Gets the set once; `done` is called once, perhaps inside the call. What comes back cancels it: `done` is not
    /// called any more; nil where it has ended.
    var fetch: (_ done: @escaping (Result<FetchedSet, KeyFetchFailure>) -> Void) -> (() -> Void)?
  }

  let issuer: String
  private let dependencies: Dependencies
  private let reports: KeyReports
  private let bell: UnknownKidBell
  private let stateKeeper: KeyStateKeeper?
  private let fileWatch: KeyFileWatch?
  private let tell: (KeySourceEvent) -> Void

  private var schedule: KeySchedule
  private var timer: (any OneShotTimer)?
  private var cancelFetch: (() -> Void)?
  /// How fetches ended so far.
  private(set) var history = KeyFetchHistory()

  /// The set in use; nil: none yet, or none that may still be trusted.
  private(set) var keys: KeySet?
  /// Seconds since 1970 of the last good fetch.
  private(set) var fetchedAt: Int?
  /// When each key of the set was first seen, by its thumbprint's digits.
  private(set) var firstSeen: [String: Int] = [:]
  /// Whether the set in use came from the state file.
  private(set) var isRestored = false

  /// - Parameters:
  ///   - stateKeeper: nil: the set is not kept on disk.
  ///   - fileWatch: nil: the keys come from no file.
  ///   - tell: called on the loop's thread.
  init(
    issuer: String, schedule: KeySchedule, bell: UnknownKidBell, reports: KeyReports, stateKeeper: KeyStateKeeper?,
    fileWatch: KeyFileWatch?, dependencies: Dependencies, tell: @escaping (KeySourceEvent) -> Void
  ) {
    self.issuer = issuer
    self.schedule = schedule
    self.bell = bell
    self.reports = reports
    self.stateKeeper = stateKeeper
    self.fileWatch = fileWatch
    self.dependencies = dependencies
    self.tell = tell
    timer = dependencies.makeTimer { [unowned self] in timerFired() }
  }

  deinit { cancelFetch?() }

  /// Takes the set of the state file, if that may be trusted. Call before `start`; blocks for one small file.
  func restore() {
    guard let stateKeeper else { return }
    let wall = dependencies.wallSeconds()
    guard let (state, set) = stateKeeper.restore(at: wall, maxAge: maxAge) else { return }
    let age = wall - state.fetchedAt
    schedule.restore(at: dependencies.now(), age: Int64(age) * 1000)
    fetchedAt = state.fetchedAt
    firstSeen = state.seen
    isRestored = true
    let restored = KeySet(set, generation: 1)
    keys = restored
    reports.restored(restored, ageSeconds: max(age, 0))
  }

  func start() {
    perform(schedule.start())
    fileWatch?.start { [unowned self] in perform(schedule.changed()) }
  }

  /// SIGHUP.
  func hangUp() { perform(schedule.hangUp()) }

  /// Waits for the state file, at the end of the process.
  func finish(milliseconds: Int) { stateKeeper?.finish(milliseconds: milliseconds) }

  /// The bell was rung.
  func unknownKid() {
    let action = schedule.unknownKid(at: dependencies.now())
    if action == .fetch(.unknownKid) { history.unknownKidRefetches += 1 }
    if let next = schedule.nextUnknownKidFetch { bell.keepQuiet(until: next) }
    perform(action)
    guard action == .refuseUnknownKid else { return }
    bell.countHeldBack()
    tell(.promisedFetchEnded(bell.noFetch()))
  }

  private func timerFired() {
    let now = dependencies.now()
    if schedule.isStale(at: now), keys != nil {
      reports.tooOld(limitSeconds: maxAge)
      keys = nil
      fetchedAt = nil
      tell(.changed)
    }
    perform(schedule.timerFired(at: now))
  }

  private func perform(_ action: KeyAction) {
    if case .fetch(let cause) = action { begin(cause) }
    if let due = schedule.nextTimer {
      // A timer of the loop takes at most days; a longer wait is taken in parts.
      timer?.schedule(afterMilliseconds: min(max(due - dependencies.now(), 1), 86_400_000))
    } else {
      timer?.cancel()
    }
  }

  // MARK: - One fetch

  private func begin(_ cause: FetchCause) {
    tell(.fetchBegins)
    bell.fetchBegins()
    reports.fetchBegins(cause)
    // Before it is read: a change in between is one more change.
    fileWatch?.remember()
    let cancel = dependencies.fetch { [unowned self] outcome in
      cancelFetch = nil
      ended(outcome, cause)
    }
    if let cancel { cancelFetch = cancel }
  }

  private func ended(_ outcome: Result<FetchedSet, KeyFetchFailure>, _ cause: FetchCause) {
    let random = dependencies.random()
    let isFirst = !history.hasTried
    let action: KeyAction
    switch outcome {
    case .success(let fetched):
      history.succeeded(skipped: fetched.set.skipped)
      accept(fetched, cause)
      action = schedule.fetchSucceeded(at: dependencies.now(), random: random)
    case .failure(let failure):
      history.failed(failure)
      reports.failed(failure, cause, serving: keys?.count ?? 0)
      if isFirst { tell(.changed) }
      action = schedule.fetchFailed(at: dependencies.now(), retryAfter: failure.retryAfter, random: random)
    }
    // After the new keys: whoever waits for this end is judged by them. Before the next fetch begins.
    tell(.promisedFetchEnded(bell.fetchEnds()))
    perform(action)
  }

  private func accept(_ fetched: FetchedSet, _ cause: FetchCause) {
    let old = keys
    let next = KeySet(fetched.set, after: old, generation: (old?.generation ?? 0) + 1)
    let wall = dependencies.wallSeconds()
    let known = firstSeen
    firstSeen = [:]
    for key in next.keys { firstSeen[key.thumbprint.hex] = known[key.thumbprint.hex] ?? wall }
    reports.changed(from: old, to: next, skipped: fetched.set.skipped, cause)
    fetchedAt = wall
    isRestored = false
    keys = next
    tell(.changed)
    stateKeeper?.keep(fetched.bytes, fetchedAt: wall, firstSeen: firstSeen)
  }

  // MARK: - What it tells of its keys

  /// Seconds after which a set that could not be refreshed is no longer trusted.
  private var maxAge: Int { Int(schedule.maxAge / 1000) }

  /// Seconds since the set in use was fetched; nil without one.
  private var age: Int? { keys == nil ? nil : schedule.lastSuccess.map { Int((dependencies.now() - $0) / 1000) } }

  var figures: IssuerFigures {
    var figures = IssuerFigures(issuer: issuer)
    figures.keys = (keys?.keys ?? []).map { key in
      IssuerFigures.Key(kid: Printable.text(key.kid), verified: key.uses.goodCount, failed: key.uses.badCount)
    }
    figures.skippedKeys = history.skipped.count
    figures.fetchedAtSeconds = fetchedAt
    figures.ageSeconds = age
    figures.secondsLeft = age.map { max(maxAge - $0, 0) }
    figures.refreshes = history.outcomes
    figures.unknownKids = bell.count
    figures.unknownKidRefetches = history.unknownKidRefetches
    figures.unknownKidRefetchesLimited = bell.heldBackCount
    figures.stateFaults = stateKeeper?.faults ?? 0
    return figures
  }

  var readiness: IssuerReadiness {
    IssuerReadiness(
      issuer: issuer, keys: keys?.count ?? 0, ageSeconds: age, isRestored: isRestored,
      lastFailure: history.lastFailure)
  }

  var listing: KeyListing {
    KeyListing(
      issuer: issuer, source: reports.source, fetchedAt: fetchedAt,
      keys: (keys?.keys ?? []).map { KeyListing.Row($0, firstSeen: firstSeen, isServing: true) })
  }
}
