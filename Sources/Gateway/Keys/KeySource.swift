// Keeps one issuer's key set fresh: drives KeySchedule with the control loop's clock and timers, fetches, reads the set,
// tells the loops. A set is replaced by a usable one only; nothing that fails changes what serves.

import EventHTTP
import Telemetry
import Settings
import Token
import Verification

/// Thread: the control loop's.
final class KeySource {
  private let settings: GatewaySettings
  private let loop: EventLoop
  private let log: Log
  private let shared: SharedCounters
  private let bell: UnknownKidBell
  private let reader: KeySetReader
  private let publish: (KeySet?) -> Void

  private var schedule: KeySchedule
  private var timer: LoopTimer?
  private var bellAttachment: WakeUp.Attachment?
  private var fetch: Fetch?
  private var retired: Fetch?

  /// The set in use; nil: none yet, or none that may still be trusted.
  private(set) var keys: KeySet?
  /// Seconds since 1970 of the last good fetch.
  private(set) var fetchedAt: Double?
  /// Why the last fetch failed; nil when it did not.
  private(set) var lastFailure: String?

  /// - Parameter publish: told of each new set, and of nil when the set is too old; not before `start`.
  init(
    _ settings: GatewaySettings, on loop: EventLoop, bell: UnknownKidBell, shared: SharedCounters, log: Log,
    publish: @escaping (KeySet?) -> Void
  ) {
    self.settings = settings
    self.loop = loop
    self.bell = bell
    self.shared = shared
    self.log = log
    self.publish = publish
    reader = KeySetReader(settings)
    schedule = KeySchedule(
      refresh: Int64(settings.keysRefreshSeconds) * 1000, maxAge: Int64(settings.keysMaxAgeSeconds) * 1000)
    timer = LoopTimer(on: loop) { [unowned self] in timerFired() }
    bellAttachment = bell.attach(to: loop) { [unowned self] in unknownKid() }
  }

  func start() { perform(schedule.start()) }

  /// SIGHUP.
  func hangUp() { perform(schedule.hangUp()) }

  private func unknownKid() {
    let action = schedule.unknownKid(at: now)
    if action == .fetch(.unknownKid) {
      shared.countUnknownKidRefetch()
      bell.keepQuiet(until: now + KeySchedule.unknownKidInterval)
    }
    if action == .refuseUnknownKid { shared.countUnknownKidRefetchLimited() }
    perform(action)
  }

  private func timerFired() {
    if schedule.isStale(at: now), keys != nil {
      log.error("keys_too_old", ("issuer", .string(settings.issuer)), ("limit_s", .int(settings.keysMaxAgeSeconds)))
      replace(with: nil)
    }
    perform(schedule.timerFired(at: now))
  }

  private var now: Int64 { Clock.monotonicMilliseconds }

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
    log.debug("keys_fetch", ("cause", .string(cause.rawValue)), ("from", .string(settings.keysLocation.description)))
    reader.fetch(on: loop, keep: { [unowned self] in fetch = $0 }) { [unowned self] outcome in
      // The fetch is in the middle of its own call; it goes when the next one starts.
      retired = fetch
      fetch = nil
      ended(outcome, cause)
    }
  }

  private func ended(_ outcome: Result<JWKSet, KeyFetchFailure>, _ cause: FetchCause) {
    let random = Double.random(in: 0..<1)
    switch outcome {
    case .success(let set):
      shared.countKeyRefresh(.success)
      lastFailure = nil
      accept(set, cause)
      perform(schedule.fetchSucceeded(at: now, random: random))
    case .failure(let failure):
      shared.countKeyRefresh(failure.outcome)
      lastFailure = failure.description
      log.warning(
        "keys_fetch_failed", ("cause", .string(cause.rawValue)), ("from", .string(settings.keysLocation.description)),
        ("error", .string(failure.description)), ("serving", .int(keys?.count ?? 0)))
      perform(schedule.fetchFailed(at: now, retryAfter: failure.retryAfter, random: random))
    }
  }

  private func accept(_ set: JWKSet, _ cause: FetchCause) {
    let next = KeySet(set, generation: (keys?.generation ?? 0) + 1)
    fetchedAt = Clock.wallSeconds
    logChanges(from: keys, to: next, skipped: set.skipped, cause)
    replace(with: next)
  }

  private func replace(with next: KeySet?) {
    keys = next
    shared.setKeys(count: next?.count ?? 0, fetchedAtSeconds: Int(fetchedAt ?? 0))
    shared.setReady(next != nil)
    publish(next)
  }

  private func logChanges(from old: KeySet?, to new: KeySet, skipped: [SkippedKey], _ cause: FetchCause) {
    if old == nil { log.info("ready", ("issuer", .string(settings.issuer)), ("keys", .int(new.count))) }
    log.info("keys_fetched", ("cause", .string(cause.rawValue)), ("keys", .int(new.count)))
    for key in new.keys where old.map({ !$0.holds(key) }) ?? true {
      log.info(
        "key_new", ("kid", .string(String(decoding: key.kid, as: UTF8.self))),
        ("algorithm", .string("\(key.algorithm.name)")), ("bits", .int(key.bits)))
    }
    for key in old?.keys ?? [] where !new.holds(key) {
      log.info("key_gone", ("kid", .string(String(decoding: key.kid, as: UTF8.self))))
    }
    for key in skipped {
      log.line(
        key.refusal.isAlarming ? .error : .warning, "key_skipped",
        [("kid", .string(String(decoding: key.kid, as: UTF8.self))), ("why", .string("\(key.refusal.explanation)"))])
    }
  }
}
