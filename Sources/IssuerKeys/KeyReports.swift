// The log lines about one issuer's keys. Nothing is decided here.

import Telemetry
import Token
import Verification

/// Thread: the control loop's.
final class KeyReports {
  private let log: Log
  private let issuer: String
  /// Where the keys come from, for people.
  let source: String
  /// Those that were told last.
  private var toldSkipped: [SkippedKey] = []

  init(_ log: Log, issuer: String, source: String) {
    self.log = log
    self.issuer = issuer
    self.source = source
  }

  func restored(_ keys: KeySet, ageSeconds: Int) {
    log.info("keys_restored", ("issuer", .string(issuer)), ("keys", .int(keys.count)), ("age_s", .int(ageSeconds)))
  }

  func tooOld(limitSeconds: Int) {
    log.error("keys_too_old", ("issuer", .string(issuer)), ("limit_s", .int(limitSeconds)))
  }

  func fetchBegins(_ cause: FetchCause) {
    log.debug("keys_fetch", ("cause", .string(cause.rawValue)), ("from", .string(source)))
  }

  /// - Parameter serving: keys of the set that stays in use.
  func failed(_ failure: KeyFetchFailure, _ cause: FetchCause, serving: Int) {
    log.warning(
      "keys_fetch_failed", ("issuer", .string(issuer)), ("cause", .string(cause.rawValue)),
      ("from", .string(source)), ("error", .string(failure.description)), ("serving", .int(serving)))
    report(skipped: failure.skipped)
  }

  /// New keys and vanished ones; skipped ones when they are others than in the last set.
  func changed(from old: KeySet?, to new: KeySet, skipped: [SkippedKey], _ cause: FetchCause) {
    let issuer = LogValue.string(issuer)
    if old == nil { log.info("ready", ("issuer", issuer), ("keys", .int(new.count))) }
    log.info("keys_fetched", ("issuer", issuer), ("cause", .string(cause.rawValue)), ("keys", .int(new.count)))
    for key in new.keys where old.map({ !$0.holds(key) }) ?? true {
      log.info(
        "key_new", ("issuer", issuer), ("kid", .keyIdentifier(key.kid)),
        ("algorithm", .string("\(key.algorithm.name)")), ("bits", .int(key.bits)))
    }
    for key in old?.keys ?? [] where !new.holds(key) {
      log.info("key_gone", ("issuer", issuer), ("kid", .keyIdentifier(key.kid)))
    }
    report(skipped: skipped)
  }

  /// Why each key is not usable, when they are others than those that were told last.
  private func report(skipped: [SkippedKey]) {
    guard skipped != toldSkipped else { return }
    toldSkipped = skipped
    for key in skipped {
      log.line(
        key.refusal.isAlarming ? .error : .warning, "key_skipped",
        [
          ("issuer", .string(issuer)), ("kid", .keyIdentifier(key.kid)), ("position", .int(key.position + 1)),
          ("why", .string("\(key.refusal.explanation)")),
        ])
    }
  }
}
