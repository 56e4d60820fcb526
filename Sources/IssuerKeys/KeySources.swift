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
  private var bellAttachments: [WakeUp.Attachment] = []
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
      let source = try KeySource(issuer, of: settings, on: loop, bell: bell, log: log) { [unowned self] event in
        switch event {
        case .fetchBegins: lookAtClock()
        case .changed: publish(self)
        case .promisedFetchEnded(let end): fetchEnded(place, end)
        }
      }
      sources.append(source)
      bellAttachments.append(
        rings[place].attach(to: loop) { [unowned source] in
          bell.hear()
          source.unknownKid()
        })
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
  package var haveTried: Bool { sources.allSatisfy { $0.keys != nil || $0.history.hasTried } }

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

extension KeySource {
  /// A source with the control loop's timers and the system's clocks, that fetches over the network or from a file.
  fileprivate convenience init(
    _ settings: IssuerSettings, of gateway: GatewaySettings, on loop: EventLoop, bell: UnknownKidBell, log: Log,
    tell: @escaping (KeySourceEvent) -> Void
  ) throws(SystemError) {
    let reader = KeySetReader(settings, caFile: settings.caFile)
    let source = settings.keysLocation.description
    let makeTimer = { (action: @escaping () -> Void) -> any OneShotTimer in LoopTimer(on: loop, action) }
    var stateKeeper: KeyStateKeeper?
    var fileWatch: KeyFileWatch?
    switch settings.keysLocation {
    case .web:
      if let folder = gateway.stateDirectory {
        stateKeeper = try KeyStateKeeper(
          folder: folder, issuer: settings.issuer, source: source, reader: reader, on: loop, log: log)
      }
    // Keys from a file are on this machine already.
    case .file(let path): fileWatch = KeyFileWatch(mark: { FileMark(path) }, makeTimer: makeTimer)
    }
    self.init(
      issuer: settings.issuer,
      schedule: KeySchedule(
        refresh: Int64(gateway.keysRefreshSeconds) * 1000, maxAge: Int64(gateway.keysMaxAgeSeconds) * 1000),
      bell: bell, reports: KeyReports(log, issuer: settings.issuer, source: source), stateKeeper: stateKeeper,
      fileWatch: fileWatch,
      dependencies: Dependencies(
        now: { Clock.monotonicMilliseconds }, wallSeconds: { Int(Clock.wallSeconds) },
        random: { Double.random(in: 0..<1) }, makeTimer: makeTimer,
        fetch: { reader.fetch(on: loop, $0).map { fetch in { fetch.cancel() } } }),
      tell: tell)
  }
}
