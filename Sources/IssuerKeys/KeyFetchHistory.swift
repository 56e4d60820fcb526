// How one issuer's fetches ended so far. Pure.

import Telemetry
import Verification

struct KeyFetchHistory: Sendable {
  /// Whether a fetch has ended, well or not.
  private(set) var hasTried = false
  /// Why the last fetch failed; nil when it did not.
  private(set) var lastFailure: String?
  /// What was not usable in the last set that was taken.
  private(set) var skipped: [SkippedKey] = []
  /// Ends so far, by `KeyRefreshOutcome`.
  private(set) var outcomes = [UInt64](repeating: 0, count: KeyRefreshOutcome.allCases.count)
  /// Fetches that unknown `kid`s have caused.
  var unknownKidRefetches: UInt64 = 0

  mutating func succeeded(skipped: [SkippedKey]) {
    hasTried = true
    lastFailure = nil
    self.skipped = skipped
    outcomes[KeyRefreshOutcome.success.rawValue] += 1
  }

  mutating func failed(_ failure: KeyFetchFailure) {
    hasTried = true
    lastFailure = failure.description
    outcomes[failure.outcome.rawValue] += 1
  }
}
