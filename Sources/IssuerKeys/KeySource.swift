// Keeps one issuer's key set fresh: drives KeySchedule with the control loop's clock and timers, fetches, reads the set,
// keeps the state file. A set is replaced by a usable one only; nothing that fails changes what serves. What it tells of
// its keys (log, metrics, pages) is in KeyReports.swift.

import EventLoops
import HTTPFetch
import POSIX
import Settings
import Telemetry
import Token
import Verification

/// Thread: the control loop's.
final class KeySource {
  let settings: IssuerSettings
  private let maxAge: Int
  private let loop: EventLoop
  let log: Log
  let bell: UnknownKidBell
  private let reader: KeySetReader
  private let willFetch: () -> Void
  private let changed: () -> Void
  private let fetchEnded: (UInt64) -> Void

  private(set) var schedule: KeySchedule
  private var timer: LoopTimer?
  private var watchTimer: LoopTimer?
  private var fileMark: FileMark?
  private var bellAttachment: WakeUp.Attachment?
  private var fetch: Fetch?
  private var retired: Fetch?
  private let stateFile: KeyStateFile?
  private var writer: KeyStateWriter?
  private var writeResults: WakeUp.Attachment?
  private var isWriteFailing = false

  /// The set in use; nil: none yet, or none that may still be trusted.
  private(set) var keys: KeySet?
  /// Seconds since 1970 of the last good fetch.
  private(set) var fetchedAt: Int?
  /// When each key of the set was first seen, by its thumbprint's digits.
  private(set) var firstSeen: [String: Int] = [:]
  /// What was not usable in the last set.
  private(set) var skipped: [SkippedKey] = []
  /// Those that were told last; KeyReports.swift keeps it.
  var reportedSkipped: [SkippedKey] = []
  /// Whether the set in use came from the state file.
  private(set) var isRestored = false
  /// Whether a fetch has ended, well or not.
  private(set) var hasTried = false
  /// Why the last fetch failed; nil when it did not.
  private(set) var lastFailure: String?
  private(set) var refreshes = [UInt64](repeating: 0, count: KeyRefreshOutcome.allCases.count)
  private(set) var unknownKidRefetches: UInt64 = 0
  private(set) var stateFaults: UInt64 = 0

  /// - Parameters:
  ///   - willFetch: called when a fetch begins.
  ///   - changed: called when `keys` is another set, or none, and when the first fetch fails; not before `start`.
  ///   - fetchEnded: called when a fetch that the bell has promised has ended, after `changed`, or will not come; with the
  ///     promised number.
  init(
    _ settings: IssuerSettings, of gateway: GatewaySettings, on loop: EventLoop, bell: UnknownKidBell, rings: WakeUp,
    log: Log,
    willFetch: @escaping () -> Void, changed: @escaping () -> Void, fetchEnded: @escaping (UInt64) -> Void
  ) throws(SystemError) {
    self.settings = settings
    self.loop = loop
    self.bell = bell
    self.log = log
    self.willFetch = willFetch
    self.changed = changed
    self.fetchEnded = fetchEnded
    maxAge = gateway.keysMaxAgeSeconds
    reader = KeySetReader(settings, caFile: gateway.caFile)
    schedule = KeySchedule(
      refresh: Int64(gateway.keysRefreshSeconds) * 1000, maxAge: Int64(gateway.keysMaxAgeSeconds) * 1000)
    // Keys from a file are on this machine already.
    if case .web = settings.keysLocation, let folder = gateway.stateDirectory {
      stateFile = KeyStateFile(folder: folder, issuer: settings.issuer)
    } else {
      stateFile = nil
    }
    timer = LoopTimer(on: loop) { [unowned self] in timerFired() }
    bellAttachment = rings.attach(to: loop) { [unowned self] in
      bell.hear()
      unknownKid()
    }
    if let stateFile {
      let results = try Mailbox<KeyStateFault?>()
      writer = KeyStateWriter(stateFile) { results.post($0) }
      writeResults = results.attach(to: loop) { [unowned self] in stateWritten($0) }
    }
    if case .file = settings.keysLocation { watchTimer = LoopTimer(on: loop) { [unowned self] in lookAtFile() } }
  }

  /// Takes the set of the state file, if that may be trusted. Call before `start`; blocks for one small file.
  func restore() {
    guard let stateFile else { return }
    do throws(KeyStateFault) {
      guard let bytes = try stateFile.read() else { return }
      let state = try KeyState(decoding: bytes)
      let wall = Int(Clock.wallSeconds)
      if let fault = state.fault(
        issuer: settings.issuer, source: settings.keysLocation.description, now: wall, maxAge: maxAge)
      {
        throw fault
      }
      let fetched: FetchedSet
      switch reader.read(state.set) {
      case .success(let read): fetched = read
      case .failure(let failure):
        throw .set("the keys inside are not usable under the settings: \(failure.description)")
      }
      schedule.restore(at: now, age: Int64(wall - state.fetchedAt) * 1000)
      fetchedAt = state.fetchedAt
      firstSeen = state.seen
      isRestored = true
      keys = KeySet(fetched.set, generation: 1)
      log.info(
        "keys_restored", ("issuer", .string(settings.issuer)), ("keys", .int(keys?.count ?? 0)),
        ("age_s", .int(max(wall - state.fetchedAt, 0))))
    } catch {
      stateFaults += 1
      log.warning(
        "state_file_ignored", ("issuer", .string(settings.issuer)), ("file", .string(stateFile.path)),
        ("why", .string(error.description)))
    }
  }

  func start() {
    perform(schedule.start())
    watchTimer?.schedule(afterMilliseconds: Self.watchInterval)
  }

  /// SIGHUP.
  func hangUp() { perform(schedule.hangUp()) }

  /// Waits for the state file, at the end of the process.
  func finish(milliseconds: Int) { writer?.flush(milliseconds: milliseconds) }

  private func unknownKid() {
    let action = schedule.unknownKid(at: now)
    if action == .fetch(.unknownKid) { unknownKidRefetches += 1 }
    if let next = schedule.nextUnknownKidFetch { bell.keepQuiet(until: next) }
    perform(action)
    guard action == .refuseUnknownKid else { return }
    bell.countHeldBack()
    fetchEnded(bell.noFetch())
  }

  private func timerFired() {
    if schedule.isStale(at: now), keys != nil {
      log.error("keys_too_old", ("issuer", .string(settings.issuer)), ("limit_s", .int(maxAge)))
      keys = nil
      fetchedAt = nil
      changed()
    }
    perform(schedule.timerFired(at: now))
  }

  var now: Int64 { Clock.monotonicMilliseconds }

  private func perform(_ action: KeyAction) {
    if case .fetch(let cause) = action { begin(cause) }
    if let due = schedule.nextTimer {
      // A timer of the loop takes at most days; a longer wait is taken in parts.
      timer?.schedule(afterMilliseconds: min(max(due - now, 1), 86_400_000))
    } else {
      timer?.cancel()
    }
  }

  // MARK: - One fetch

  private func begin(_ cause: FetchCause) {
    willFetch()
    bell.fetchBegins()
    log.debug(
      "keys_fetch", ("cause", .string(cause.rawValue)), ("from", .string(settings.keysLocation.description)))
    // Before it is read: a change in between is one more change.
    fileMark = reader.fileMark
    reader.fetch(on: loop, keep: { [unowned self] in fetch = $0 }) { [unowned self] outcome in
      // The fetch is in the middle of its own call; it goes when the next one starts.
      retired = fetch
      fetch = nil
      ended(outcome, cause)
    }
  }

  private func ended(_ outcome: Result<FetchedSet, KeyFetchFailure>, _ cause: FetchCause) {
    let random = Double.random(in: 0..<1)
    let isFirst = !hasTried
    hasTried = true
    let action: KeyAction
    switch outcome {
    case .success(let fetched):
      refreshes[KeyRefreshOutcome.success.rawValue] += 1
      lastFailure = nil
      accept(fetched, cause)
      action = schedule.fetchSucceeded(at: now, random: random)
    case .failure(let failure):
      refreshes[failure.outcome.rawValue] += 1
      lastFailure = failure.description
      report(failure, cause)
      if isFirst { changed() }
      action = schedule.fetchFailed(at: now, retryAfter: failure.retryAfter, random: random)
    }
    // After the new keys: whoever waits for this end is judged by them. Before the next fetch begins.
    fetchEnded(bell.fetchEnds())
    perform(action)
  }

  private func accept(_ fetched: FetchedSet, _ cause: FetchCause) {
    let old = keys
    let next = KeySet(fetched.set, after: old, generation: (old?.generation ?? 0) + 1)
    let wall = Int(Clock.wallSeconds)
    let known = firstSeen
    firstSeen = [:]
    for key in next.keys { firstSeen[key.thumbprint.hex] = known[key.thumbprint.hex] ?? wall }
    reportChanges(from: old, to: next, skipped: fetched.set.skipped, cause)
    skipped = fetched.set.skipped
    fetchedAt = wall
    isRestored = false
    keys = next
    changed()
    let state = KeyState(
      issuer: settings.issuer, source: settings.keysLocation.description, fetchedAt: wall, seen: firstSeen,
      set: fetched.bytes)
    writer?.write(state.encoded)
  }

  // MARK: - Files

  private static let watchInterval: Int64 = 1_000

  /// A look each second: notifications would not come from every file system that a `file:` may be on.
  private func lookAtFile() {
    if reader.fileMark != fileMark { perform(schedule.changed()) }
    watchTimer?.schedule(afterMilliseconds: Self.watchInterval)
  }

  /// One warning when writing begins to fail, one line when it works again.
  private func stateWritten(_ fault: KeyStateFault?) {
    if let fault {
      stateFaults += 1
      if !isWriteFailing {
        log.warning(
          "state_file_not_written", ("issuer", .string(settings.issuer)), ("why", .string(fault.description)))
      }
    } else if isWriteFailing {
      log.info("state_file_written", ("issuer", .string(settings.issuer)))
    }
    isWriteFailing = fault != nil
  }
}
