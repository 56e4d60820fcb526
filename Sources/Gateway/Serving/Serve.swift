// `serve`: opens the sockets, starts the loops, and is then the control thread: keys, signals, admin, drain.

import EventHTTP
import Glibc
import HTTPSyntax
import Telemetry
import Settings
import Token
import Verification
import VerificationPool

enum Serve {
  /// Serves until a signal ends it. Call on the main thread, with `SignalSource.block` called before any
  /// other thread was started.
  ///
  /// Returns the exit code: 0 after a drain, 1 when something could not be opened.
  ///
  /// - Parameter whenReady: called once, on this thread, when the first keys are there; with the listening addresses.
  static func run(_ settings: GatewaySettings, _ log: Log, whenReady: (([ListenAddress]) -> Void)? = nil) -> Int32 {
    do throws(SystemError) {
      let gateway = try RunningGateway(settings, log, whenReady)
      return try gateway.run()
    } catch {
      log.error("failed", ("error", .string(error.description)))
      log.flush(milliseconds: 1000)
      return 1
    }
  }
}

/// The control thread's side of a serving process.
final class RunningGateway {
  private let settings: GatewaySettings
  private let log: Log
  private let loop: EventLoop
  private let shared = SharedCounters()
  private let counters: [LoopCounters]
  private let mailboxes: [Mailbox<LoopMessage>]
  private let wakeUps: [WakeUp]
  private let parts: ServingParts
  private let events: Mailbox<ControlEvent>
  private var keys: KeySources?
  private var admin: HTTPServer?
  private var loopsServing: Int
  private var isDraining = false
  private var isAccepting = false
  private var whenReady: (([ListenAddress]) -> Void)?
  private var exitCode: Int32 = 0
  private var drainTimer: LoopTimer?

  private enum ControlEvent: Sendable {
    case loopDrained
    case loopFailed(SystemError)
  }

  init(
    _ settings: GatewaySettings, _ log: Log, _ whenReady: (([ListenAddress]) -> Void)?
  ) throws(SystemError) {
    self.whenReady = whenReady
    self.settings = settings
    self.log = log
    OpenSSLLibrary.keepThroughExit()
    LibeventLog.install(log)
    raiseDescriptorLimit()
    loop = try EventLoop()
    events = try Mailbox()
    loopsServing = settings.eventLoops
    counters = (0..<settings.eventLoops).map { _ in LoopCounters() }
    var mailboxes: [Mailbox<LoopMessage>] = []
    var wakeUps: [WakeUp] = []
    for _ in 0..<settings.eventLoops {
      mailboxes.append(try Mailbox())
      wakeUps.append(try WakeUp())
    }
    self.mailboxes = mailboxes
    self.wakeUps = wakeUps
    let pool = VerificationPool(
      cells: ServingParts.poolCells, workers: settings.verifyWorkers,
      wake: wakeUps.map { wakeUp in { wakeUp.notify() } })
    var bells: [UnknownKidBell] = []
    for _ in settings.issuers { bells.append(try UnknownKidBell()) }
    parts = ServingParts(
      settings: settings, judge: Judge(settings.issuers.map { Expectations($0) }), pool: pool, bells: bells,
      shared: shared, log: log)
  }

  func run() throws(SystemError) -> Int32 {
    var sockets = try ListeningSockets(settings, inherited: ListenSocket.inherited(environment: processEnvironment()))
    let signals = try SignalSource(on: loop) { [unowned self] in received($0) }
    let ears = events.attach(to: loop) { [unowned self] in happened($0) }
    try startAdmin(on: sockets.takeAdmin())
    var limits = ServerLimits()
    limits.head = HeadLimits(maxHeadBytes: settings.maxHeadBytes)
    limits.headTimeout = Int64(settings.headerTimeoutSeconds) * 1000
    limits.idleTimeout = Int64(settings.idleTimeoutSeconds) * 1000
    let budget = ConnectionBudget(limit: connectionsThatFit())
    let addresses = sockets.addresses
    // Before the first request can come: with a good state file none is refused for want of keys.
    let keys = try KeySources(settings, on: loop, bells: parts.bells, log: log) { [unowned self] keys in
      publish(keys, addresses)
    }
    self.keys = keys
    keys.restore()
    for number in 0..<settings.eventLoops {
      let events = events
      try ServingLoop.start(
        number: number, parts: parts, sockets: sockets.serving.map { $0[number] }, limits: limits, budget: budget,
        counters: counters[number], keys: keys.sets, mailbox: mailboxes[number], poolWakeUp: wakeUps[number],
        drained: { events.post(.loopDrained) }, failed: { events.post(.loopFailed($0)) })
    }
    log.info(
      "started", ("version", .string(programVersion)),
      ("listen", .string(addresses.map(\.description).joined(separator: ","))),
      ("issuer", .string(settings.text(of: SettingsTable.all.issuerNames))),
      ("keys_url", .string(settings.text(of: SettingsTable.all.keysLocations))),
      ("event_loops", .int(settings.eventLoops)), ("verify_workers", .int(settings.verifyWorkers)))
    publish(keys, addresses)
    keys.start()
    withExtendedLifetime((signals, ears)) { loop.run() }
    keys.finish()
    log.info("stopped")
    log.flush(milliseconds: 1000)
    return exitCode
  }

  /// Hands the sets in use to everything that judges by them.
  private func publish(_ keys: KeySources, _ addresses: [ListenAddress]) {
    let sets = keys.sets
    parts.pool.use(sets)
    for mailbox in mailboxes { mailbox.post(.keys(sets)) }
    shared.setReady(keys.isReady)
    // Not before: beside an old process that has keys, a new one without would turn good requests away.
    if keys.haveTried, !isAccepting {
      isAccepting = true
      for mailbox in mailboxes { mailbox.post(.accept) }
    }
    if keys.isReady, let tell = whenReady {
      whenReady = nil
      tell(addresses)
    }
  }

  /// The bound on connections: `max_connections`, or less where the system grants too few descriptors for that. Running
  /// out of them would leave new connections waiting in the kernel; at the bound an idle one makes room.
  private func connectionsThatFit() -> Int {
    var limit = rlimit()
    // Safe: the call fills one struct of this frame.
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return settings.maxConnections
    }
    let granted = Int(clamping: limit.rlim_cur)
    let inUse = (0..<Int32(clamping: min(granted, 1024))).count { fcntl($0, F_GETFD) >= 0 }
    // What is still to come: a few for each loop, the fetch of keys, and the admin's own connections.
    let fit = max(granted - inUse - settings.eventLoops * 6 - 16, 1)
    guard fit < settings.maxConnections else { return settings.maxConnections }
    log.warning(
      "connections_limited", ("max_connections", .int(settings.maxConnections)), ("connections", .int(fit)),
      ("descriptors", .int(granted)))
    return fit
  }

  private func startAdmin(on socket: ListenSocket?) throws(SystemError) {
    guard let socket else { return }
    let names = MetricNames(
      reasons: Reason.allCases.map { "\($0.name)" }, refusals: Refusal.allCases.map { "\($0.name)" },
      undecided: Set([Reason.keysUnavailable, .overloaded].map { "\($0.name)" }))
    let handler = AdminHandler(
      log: log,
      readiness: { [unowned self] in
        Readiness(issuers: keys?.readiness ?? [], isDraining: isDraining)
      },
      keys: { [unowned self] in KeyListing.text(keys?.listings ?? []) },
      page: { [unowned self] in
        MetricsPage.render(
          loops: counters, shared: shared, issuers: keys?.figures ?? [], names: names,
          logLinesDropped: log.droppedLines, process: .current(), version: programVersion)
      })
    // A bound of its own: nobody who fills the gateway's listeners can lock the operator out.
    let server = try HTTPServer(
      on: loop, limits: ServerLimits(), budget: ConnectionBudget(limit: 256), handler: handler)
    try server.accept(on: socket)
    log.info("admin", ("listen", .string(socket.address.description)))
    admin = server
  }

  // MARK: - Events

  private func received(_ signal: ProcessSignal) {
    switch signal {
    case .hangUp:
      log.info("hang_up")
      keys?.hangUp()
    case .terminate, .interrupt:
      // A second one is somebody who does not want to wait.
      if isDraining { loop.stop() } else { drain() }
    }
  }

  private func drain() {
    isDraining = true
    log.info("draining", ("timeout_s", .int(settings.drainTimeoutSeconds)))
    drainTimer = LoopTimer(on: loop) { [unowned self] in
      log.warning("drain_timeout", ("loops_left", .int(loopsServing)))
      loop.stop()
    }
    drainTimer?.schedule(afterMilliseconds: Int64(settings.drainTimeoutSeconds) * 1000)
    for mailbox in mailboxes { mailbox.post(.drain) }
  }

  private func happened(_ event: ControlEvent) {
    switch event {
    case .loopDrained:
      loopsServing -= 1
      if loopsServing == 0 { loop.stop() }
    case .loopFailed(let error):
      log.error("failed", ("error", .string(error.description)))
      exitCode = 1
      loop.stop()
    }
  }
}

/// Takes all the descriptors that the system grants: a connection is one.
private func raiseDescriptorLimit() {
  var limit = rlimit()
  guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
  limit.rlim_cur = limit.rlim_max
  _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}

extension Expectations {
  /// What the settings want of an issuer's tokens.
  init(_ settings: IssuerSettings) {
    let require: Requirement =
      switch settings.require {
      case .identity: .identity
      case .service: .service
      case .any: .any
      }
    self.init(
      issuer: Array(settings.issuer.utf8), algorithms: AlgorithmSet(settings.algorithms),
      leeway: settings.leewaySeconds, require: require)
  }
}
