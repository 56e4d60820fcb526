// `serve`: opens the sockets, starts the loops, and is then the control thread: keys, signals, admin, drain.

import Admin
import Authorization
import EventLoops
import ForwardAuth
import Glibc
import HTTP2
import HTTPFetch
import HTTPServing
import HTTPSyntax
import IssuerKeys
import POSIX
import Policy
import Settings
import TLS
import Telemetry
import Token
import Verification

enum Serve {
  /// Serves until a signal ends it. Call on the main thread.
  ///
  /// Returns the exit code: 0 after a drain, 1 when something could not be opened, 78 where the configuration cannot be used
  /// (it was said why).
  ///
  /// - Parameters:
  ///   - options: of the listening sockets.
  ///   - reload: reads the configuration again, on SIGHUP and when its file has changed; blocks on the disk.
  ///   - whenReady: called once, on this thread, when the gateway is ready; with the listening addresses.
  static func run(
    _ served: Configuration, _ options: ListenOptions, _ log: Log, reload: @escaping ConfigurationLoader,
    whenReady: (([ListenAddress]) -> Void)? = nil
  ) -> Int32 {
    let stamps = (served.file.flatMap { FileMark($0) }, served.revocationFile.flatMap { FileMark($0) })
    let (rules, revocations): (Rules, RevocationTable)
    do throws(ConfigurationMistakes) {
      rules = try served.rules().get()
      revocations = try served.revocationTable().get()
    } catch {
      for line in error.lines { printError(line) }
      return 78
    }
    do throws(SystemError) {
      let gateway = try RunningGateway(
        served, Snapshot(rules: rules, revocations: revocations), options, log, (reload, stamps), whenReady)
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
  private var served: Configuration
  private var settings: GatewaySettings { served.settings }
  /// What the loops judge by, but for what is being sent to them.
  private var snapshot: Snapshot
  private var decisions = DecisionTotals()
  private var reloads = ReloadFigures()
  private var reloader: Reloader?
  private let rings: [WakeUp]
  private let options: ListenOptions
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
  /// Nil where nobody listens with TLS.
  private var certificate: ServerCertificate?
  private var loopsServing: Int
  private var loopsAccepting = 0
  private var isDraining = false
  private var isAccepting = false
  private var addresses: [ListenAddress] = []
  /// For each TCP address the descriptors of the loops' sockets; theirs to close.
  private var listening: [[Int32]] = []
  /// Sockets of others that listened at our addresses before ours did.
  private var olderListeners: Set<UInt64> = []
  private var whenReady: (([ListenAddress]) -> Void)?
  private var memoryTimer: LoopTimer?
  private var exitCode: Int32 = 0
  private var drainTimer: LoopTimer?

  private enum ControlEvent: Sendable {
    /// It accepts connections on all of its sockets.
    case loopAccepts
    case loopDrained
    case loopFailed(SystemError)
    case reloaded(ReloadOutcome)
  }

  init(
    _ served: Configuration, _ snapshot: Snapshot, _ options: ListenOptions, _ log: Log,
    _ loading: (load: ConfigurationLoader, stamps: (FileMark?, FileMark?)),
    _ whenReady: (([ListenAddress]) -> Void)?
  ) throws(SystemError) {
    let settings = served.settings
    self.whenReady = whenReady
    self.served = served
    self.snapshot = snapshot
    self.options = options
    self.log = log
    OpenSSLLibrary.keepThroughExit()
    LibeventLog.install(log)
    // Whole tokens are in memory (`TokenCache`), and a token is a password for as long as it lives.
    if !settings.coreDumps { allowMemoryDumps(false) }
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
    var rings: [WakeUp] = []
    for _ in settings.issuers { rings.append(try WakeUp()) }
    self.rings = rings
    let bells = rings.map { ring in UnknownKidBell { ring.notify() } }
    parts = ServingParts(
      pool: pool, bells: bells, shared: shared, log: log,
      unknownKidWait: Int64(settings.unknownKidWaitSeconds) * 1000,
      tokenCacheBytes: settings.tokenCacheBytes / settings.eventLoops, maxHeadBytes: settings.maxHeadBytes)
    decisions.use(snapshot.rules.policies, loops: settings.eventLoops)
    self.snapshot.decisions = decisions.current
    if served.file != nil {
      reloads.configurationIsGood = true
      reloads.configurationTime = Int(Clock.wallSeconds)
    }
    if served.revocationFile != nil {
      reloads.revocationsAreGood = true
      reloads.revocationEntries = snapshot.revocations.count
    }
    let events = events
    reloader = Reloader(
      served, settingsStamp: loading.stamps.0, revocationStamp: loading.stamps.1, load: loading.load
    ) { events.post(.reloaded($0)) }
  }

  func run() throws(SystemError) -> Int32 {
    var sockets = try ListeningSockets(
      settings, options, inherited: ListenSocket.inherited(environment: processEnvironment()), log)
    let signals = try SignalSource(on: loop) { [unowned self] in received($0) }
    let ears = events.attach(to: loop) { [unowned self] in happened($0) }
    let connections = connectionsThatFit()
    // Where descriptors are scarce, the admin's connections must not use up those of the others.
    try startAdmin(on: sockets.takeAdmin(), connections: connections < settings.maxConnections ? 8 : 256)
    var limits = ServerLimits()
    limits.head = HeadLimits(maxHeadBytes: settings.maxHeadBytes)
    limits.headTimeout = Int64(settings.headerTimeoutSeconds) * 1000
    limits.idleTimeout = Int64(settings.idleTimeoutSeconds) * 1000
    limits.fullStatus = UInt16(settings.unavailableStatus)
    limits.fullFieldLines = ReplyTexts.fieldLines(forWantOfRoomWith: limits.fullStatus)
    limits.speaksHTTP2 = settings.http2
    let certificate = try TLSServerSettings(settings).map { tls throws(SystemError) in
      try ServerCertificate(tls, on: loop, log) { [mailboxes] context in
        for mailbox in mailboxes { mailbox.post(.certificate(context)) }
      }
    }
    self.certificate = certificate
    let budget = ConnectionBudget(limit: connections, partialLimit: settings.maxPartialBytes)
    giveBackMemory(of: budget)
    addresses = sockets.addresses
    listening = sockets.serving.filter { !$0[0].isShared }.map { $0.map(\.descriptor) }
    // Before the first request can come: with a good state file none is refused for want of keys.
    let keys = try KeySources(settings, on: loop, bells: parts.bells, rings: rings, log: log) { [unowned self] keys in
      publish(keys)
    } fetchEnded: { [unowned self] issuer, end in
      for mailbox in mailboxes { mailbox.post(.fetchEnded(issuer: issuer, end: end)) }
    }
    self.keys = keys
    keys.restore()
    snapshot.keys = keys.sets
    for number in 0..<settings.eventLoops {
      let events = events
      try ServingLoop.start(
        number: number, parts: parts, sockets: sockets.serving.map { $0[number] }, isSecure: sockets.isSecure,
        certificate: certificate?.context, limits: limits, budget: budget,
        counters: counters[number], snapshot: snapshot, mailbox: mailboxes[number], poolWakeUp: wakeUps[number],
        accepting: { events.post(.loopAccepts) }, drained: { events.post(.loopDrained) },
        failed: { events.post(.loopFailed($0)) })
    }
    log.info(
      "started", ("version", .string(programVersion)),
      ("listen", .string(sockets.texts.joined(separator: ","))),
      ("issuer", .string(settings.text(of: SettingsTable.all.issuerNames))),
      ("keys_url", .string(settings.text(of: SettingsTable.all.keysLocations))),
      ("event_loops", .int(settings.eventLoops)), ("verify_workers", .int(settings.verifyWorkers)))
    publish(keys)
    keys.start()
    reloader?.start()
    withExtendedLifetime((signals, ears)) { loop.run() }
    reloader?.end()
    keys.finish()
    log.info("stopped")
    log.flush(milliseconds: 1000)
    return exitCode
  }

  /// Hands the sets in use to everything that judges by them.
  private func publish(_ keys: KeySources) {
    let sets = keys.sets
    parts.pool.use(sets)
    snapshot.keys = sets
    for mailbox in mailboxes { mailbox.post(.snapshot(snapshot)) }
    tellReadiness()
    // Not before: beside an old process that has keys, a new one without would turn good requests away.
    if keys.haveTried, !isAccepting {
      isAccepting = true
      for mailbox in mailboxes { mailbox.post(.accept) }
    }
  }

  /// The state of now, in the same words for `/readyz`, the metrics and whoever waits for it.
  private var readiness: Readiness {
    Readiness(
      issuers: keys?.readiness ?? [], isAccepting: loopsAccepting == settings.eventLoops, isDraining: isDraining)
  }

  private func tellReadiness() {
    let isReady = readiness.isReady
    shared.setReady(isReady)
    if isReady, let tell = whenReady {
      whenReady = nil
      tell(addresses)
    }
  }

  /// Half-received heads that are gone leave memory behind that the allocator keeps for later ones: many of them, hundreds
  /// of MiB. Looked at seldom, and on this thread: going through the heap takes milliseconds.
  private func giveBackMemory(of budget: ConnectionBudget) {
    memoryTimer = LoopTimer(on: loop) { [unowned self] in
      if budget.takeStagedFall() >= 4 << 20 { FreedMemory.giveBack() }
      memoryTimer?.schedule(afterMilliseconds: 5_000)
    }
    memoryTimer?.schedule(afterMilliseconds: 5_000)
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

  private func startAdmin(on socket: ListenSocket?, connections: Int) throws(SystemError) {
    guard let socket else { return }
    let names = MetricNames(
      reasons: Reason.allCases.map { "\($0.name)" }, refusals: Refusal.allCases.map { "\($0.name)" },
      undecided: Set([Reason.keysUnavailable, .overloaded].map { "\($0.name)" }),
      sessionFailures: HTTP2Failure.allCases.map { "\($0.name)" })
    let handler = AdminHandler(
      log: log,
      readiness: { [unowned self] in readiness },
      keys: { [unowned self] in KeyListing.text(keys?.listings ?? []) },
      page: { [unowned self] in
        MetricsPage.render(
          loops: counters, shared: shared, issuers: keys?.figures ?? [], names: names,
          logLinesDropped: log.droppedLines, certificate: certificate?.figures, process: .current(),
          version: programVersion, reloads: reloadFigures)
      })
    // Bounds of its own: nobody who fills the gateway's listeners can lock the operator out, and nobody who fills this one
    // can keep a probe out, at which an orchestrator would end the process.
    var limits = ServerLimits()
    limits.oldestMakesRoom = true
    let server = try HTTPServer(
      on: loop, limits: limits, budget: ConnectionBudget(limit: connections), handler: handler)
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
      certificate?.reload()
      reloader?.reload()
    case .terminate, .interrupt:
      // A second one is somebody who does not want to wait.
      if isDraining { loop.stop() } else { drain() }
    }
  }

  private func drain() {
    isDraining = true
    tellReadiness()
    log.info("draining", ("timeout_s", .int(settings.drainTimeoutSeconds)))
    drainTimer = LoopTimer(on: loop) { [unowned self] in
      log.warning("drain_timeout", ("loops_left", .int(loopsServing)))
      loop.stop()
    }
    drainTimer?.schedule(afterMilliseconds: Int64(settings.drainTimeoutSeconds) * 1000)
    let acceptingFor = leaveToNewerProcess() ? Self.handshakesTake : 0
    for mailbox in mailboxes { mailbox.post(.drain(acceptingFor: acceptingFor)) }
  }

  /// Milliseconds for handshakes that have begun.
  private static let handshakesTake: Int64 = 250

  /// Beside newer processes that listen at the same address: leaves new connections to them. False where there is none, or an
  /// older one stays (then which socket is whose is not known).
  private func leaveToNewerProcess() -> Bool {
    var isLeft = false
    for sockets in listening {
      let others = ReusePortGroup.others(besides: sockets)
      guard !others.isEmpty, others.isDisjoint(with: olderListeners), let first = sockets.first else { continue }
      if ReusePortGroup.leaveToNewer(first, ownCount: sockets.count) { isLeft = true }
    }
    return isLeft
  }

  private func happened(_ event: ControlEvent) {
    switch event {
    case .loopAccepts:
      loopsAccepting += 1
      if loopsAccepting == settings.eventLoops {
        for sockets in listening { olderListeners.formUnion(ReusePortGroup.others(besides: sockets)) }
      }
      tellReadiness()
    case .loopDrained:
      loopsServing -= 1
      if loopsServing == 0 { loop.stop() }
    case .reloaded(let outcome): take(outcome)
    case .loopFailed(let error):
      log.error("failed", ("error", .string(error.description)))
      exitCode = 1
      loop.stop()
    }
  }
}

// MARK: - Reloading

extension RunningGateway {
  private var reloadFigures: ReloadFigures {
    var figures = reloads
    figures.decisions = decisions.figures
    return figures
  }

  /// What was read anew comes into force in every loop with one exchange; what is bad changes nothing.
  private func take(_ outcome: ReloadOutcome) {
    switch outcome {
    case .badConfiguration(let mistakes):
      reloads.configurationIsGood = reloads.configurationIsGood.map { _ in false }
      log.error(
        "reload_failed", ("error", .string(mistakes.lines.first ?? "")), ("mistakes", .int(mistakes.lines.count)))
    case .badRevocations(let mistakes):
      reloads.revocationsAreGood = false
      log.error(
        "revocation_reload_failed", ("error", .string(mistakes.lines.first ?? "")),
        ("mistakes", .int(mistakes.lines.count)))
    case .revocations(let table):
      takeRevocations(table)
      publishSnapshot()
      log.info("revocations_reloaded", ("entries", .int(table.count)))
    case .configuration(let loaded, let table): take(loaded, table)
    }
  }

  private func take(_ loaded: Configuration, _ table: RevocationTable) {
    guard case .success(let rules) = loaded.rules() else { return }
    for name in loaded.settings.restartOnlyChanges(from: settings) {
      log.warning("restart_needed", ("setting", .string(name)), ("note", "it has changed, and stays as it was"))
    }
    decisions.use(rules.policies, loops: mailboxes.count)
    snapshot.rules = rules
    snapshot.decisions = decisions.current
    served.definitions = loaded.definitions
    served.policies = loaded.policies
    served.revocationFile = loaded.revocationFile
    takeRevocations(table)
    log.level = LogLevel(loaded.settings.logLevel)
    publishSnapshot()
    if served.file != nil {
      reloads.configurationIsGood = true
      reloads.configurationTime = Int(Clock.wallSeconds)
    }
    log.info("reloaded", ("applications", .int(rules.policies?.applicationCount ?? 0)))
  }

  private func takeRevocations(_ table: RevocationTable) {
    snapshot.revocations = table
    if served.revocationFile != nil {
      reloads.revocationsAreGood = true
      reloads.revocationEntries = table.count
    }
  }

  private func publishSnapshot() {
    for mailbox in mailboxes { mailbox.post(.snapshot(snapshot)) }
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
  ///
  /// - Parameter require: in place of what the settings want, where policies say who comes in.
  init(_ settings: IssuerSettings, require: RequiredIdentity? = nil) {
    let require: Requirement =
      switch require ?? settings.require {
      case .identity: .identity
      case .service: .service
      case .any: .any
      }
    self.init(
      issuer: Array(settings.issuer.utf8), algorithms: AlgorithmSet(settings.algorithms),
      tokenTypes: settings.tokenTypes.compactMap { TokenType($0) }, leeway: settings.leewaySeconds, require: require)
  }
}
