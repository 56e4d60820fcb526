// What a key source tells of its keys: log lines, figures for the metrics, the list that `access-gateway keys` prints.
// Nothing is decided here.

import EventLoops
import HTTPFetch
import POSIX
import Telemetry
import Token
import Verification

extension KeySource {
  func report(_ failure: KeyFetchFailure, _ cause: FetchCause) {
    log.warning(
      "keys_fetch_failed", ("issuer", .string(settings.issuer)), ("cause", .string(cause.rawValue)),
      ("from", .string(settings.keysLocation.description)), ("error", .string(failure.description)),
      ("serving", .int(keys?.count ?? 0)))
    report(skipped: failure.skipped)
  }

  /// Why each key is not usable, when they are others than those that were told last.
  private func report(skipped: [SkippedKey]) {
    guard skipped != reportedSkipped else { return }
    reportedSkipped = skipped
    for key in skipped {
      log.line(
        key.refusal.isAlarming ? .error : .warning, "key_skipped",
        [
          ("issuer", .string(settings.issuer)), ("kid", .keyIdentifier(key.kid)),
          ("position", .int(key.position + 1)), ("why", .string("\(key.refusal.explanation)")),
        ])
    }
  }

  /// New keys and vanished ones; skipped ones when they are others than in the last set.
  func reportChanges(from old: KeySet?, to new: KeySet, skipped: [SkippedKey], _ cause: FetchCause) {
    let issuer = LogValue.string(settings.issuer)
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

  /// Seconds since the set in use was fetched; nil without one.
  private var age: Int64? { keys == nil ? nil : schedule.lastSuccess.map { (now - $0) / 1000 } }

  var figures: IssuerFigures {
    var figures = IssuerFigures(issuer: settings.issuer)
    figures.keys = (keys?.keys ?? []).map { key in
      IssuerFigures.Key(kid: Printable.text(key.kid), verified: key.uses.goodCount, failed: key.uses.badCount)
    }
    figures.skippedKeys = skipped.count
    figures.fetchedAtSeconds = fetchedAt
    figures.ageSeconds = age.map { Int($0) }
    figures.secondsLeft = age.map { Int(max(schedule.maxAge / 1000 - $0, 0)) }
    figures.refreshes = refreshes
    figures.unknownKids = bell.count
    figures.unknownKidRefetches = unknownKidRefetches
    figures.unknownKidRefetchesLimited = bell.heldBackCount
    figures.stateFaults = stateFaults
    return figures
  }

  var readiness: IssuerReadiness {
    IssuerReadiness(
      issuer: settings.issuer, keys: keys?.count ?? 0, ageSeconds: age.map { Int($0) }, isRestored: isRestored,
      lastFailure: lastFailure)
  }

  var listing: KeyListing {
    KeyListing(
      issuer: settings.issuer, source: settings.keysLocation.description, fetchedAt: fetchedAt,
      keys: (keys?.keys ?? []).map { KeyListing.Row($0, firstSeen: firstSeen, isServing: true) })
  }
}

/// An issuer's keys for people.
package struct KeyListing: Equatable, Sendable {
  /// A key. Texts are printable ASCII.
  package struct Row: Equatable, Sendable {
    package var kid: String
    package var algorithm: String
    package var bits: Int
    /// Seconds since 1970; nil: not known.
    package var firstSeen: Int?
    /// When a signature of it was verified for the last time; nil: never, or not known.
    package var lastUsed: Int?
    /// Nil where only a running gateway could know.
    package var verified: UInt64?
  }

  package var issuer: String
  package var source: String
  /// Seconds since 1970; nil: there is no set.
  package var fetchedAt: Int?
  package var keys: [Row]

  package init(issuer: String, source: String, fetchedAt: Int?, keys: [Row]) {
    self.issuer = issuer
    self.source = source
    self.fetchedAt = fetchedAt
    self.keys = keys
  }

  /// Lines for a terminal, the last one ended too.
  package static func text(_ listings: [KeyListing]) -> String {
    listings.map(\.text).joined(separator: "\n")
  }

  private var text: String {
    var text = "issuer \(issuer)\nfrom   \(source)\nset    \(fetchedAt.map(Self.time) ?? "none")\n"
    guard !keys.isEmpty else { return text }
    let head = ["kid", "algorithm", "bits", "first seen", "last used", "verified"]
    let rows =
      [head]
      + keys.map { key in
        [
          key.kid, key.algorithm, String(key.bits), key.firstSeen.map(Self.time) ?? "-",
          key.lastUsed.map(Self.time) ?? "-", key.verified.map { String($0) } ?? "-",
        ]
      }
    let widths = head.indices.map { column in rows.map { $0[column].utf8.count }.max() ?? 0 }
    for row in rows {
      var line = ""
      for (column, cell) in row.enumerated() {
        line += "  " + cell
        if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.utf8.count) }
      }
      text += line + "\n"
    }
    return text
  }

  private static func time(_ seconds: Int) -> String {
    Timestamp(seconds: max(seconds, 0), milliseconds: 0).textInSeconds
  }
}

extension KeyListing.Row {
  package init(_ key: VerificationKey, firstSeen: [String: Int], isServing: Bool) {
    self.init(
      kid: Printable.text(key.kid), algorithm: "\(key.algorithm.name)", bits: key.bits,
      firstSeen: firstSeen[key.thumbprint.hex], lastUsed: isServing ? key.uses.lastGood.map { Int($0) } : nil,
      verified: isServing ? key.uses.goodCount : nil)
  }
}
