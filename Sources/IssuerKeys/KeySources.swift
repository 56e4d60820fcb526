// The key sources of all issuers: one an issuer, each with its own schedule, so that the outage of one does not touch the
// others. Also looks after the wall clock, on which all of them depend.

import EventLoops
import HTTPFetch
import POSIX
import Settings
import Telemetry
import Verification

/// Thread: the control loop's.
package final class KeySources {
  private var sources: [KeySource] = []
  private let log: Log
  private var clock = ClockStep()
  private var clockTimer: LoopTimer?

  /// - Parameters:
  ///   - bells: one an issuer, in their order.
  ///   - rings: what each bell's `wake` notifies, in the same order.
  ///   - publish: told of the sets in use whenever one of them changes; not before `start`.
  ///   - fetchEnded: told of the end of each fetch that a bell has promised: the issuer's place, and the promised number.
  package init(
    _ settings: GatewaySettings, on loop: EventLoop, bells: [UnknownKidBell], rings: [WakeUp], log: Log,
    publish: @escaping (_ sources: KeySources) -> Void, fetchEnded: @escaping (_ issuer: Int, _ end: UInt64) -> Void
  ) throws(SystemError) {
    self.log = log
    for (place, (issuer, bell)) in zip(settings.issuers, bells).enumerated() {
      sources.append(
        try KeySource(
          issuer, of: settings, on: loop, bell: bell, rings: rings[place], log: log,
          willFetch: { [unowned self] in lookAtClock() },
          changed: { [unowned self] in publish(self) }, fetchEnded: { fetchEnded(place, $0) }))
    }
    clockTimer = LoopTimer(on: loop) { [unowned self] in
      lookAtClock()
      clockTimer?.schedule(afterMilliseconds: 60_000)
    }
  }

  /// The sets that may be trusted, at most one an issuer.
  package var sets: [KeySet] { sources.compactMap(\.keys) }

  /// Whether every issuer has a usable set.
  package var isReady: Bool { sources.allSatisfy { $0.keys != nil } }

  /// Whether waiting is over: each issuer has a set, or its first fetch has failed.
  package var haveTried: Bool { sources.allSatisfy { $0.keys != nil || $0.hasTried } }

  package var figures: [IssuerFigures] { sources.map(\.figures) }
  package var readiness: [IssuerReadiness] { sources.map(\.readiness) }
  package var listings: [KeyListing] { sources.map(\.listing) }

  /// Takes what the state folder has.
  package func restore() {
    for source in sources { source.restore() }
  }

  package func start() {
    lookAtClock()
    clockTimer?.schedule(afterMilliseconds: 60_000)
    for source in sources { source.start() }
  }

  /// SIGHUP.
  package func hangUp() {
    for source in sources { source.hangUp() }
  }

  /// At the end of the process: waits for state files, a second at most over all of them.
  package func finish() {
    for source in sources { source.finish(milliseconds: 1000 / sources.count) }
  }

  private func lookAtClock() {
    let monotonic = Double(Clock.monotonicNanoseconds) / 1e9
    guard let step = clock.observe(wall: Clock.wallSeconds, monotonic: monotonic) else { return }
    log.warning("clock_step", ("seconds", .int(Int(step.rounded()))))
  }
}
