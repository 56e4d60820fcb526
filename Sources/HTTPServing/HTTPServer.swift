// The server on one loop: evhttp, its listeners, the life of connections, drain. How bytes become requests
// is in Gate.swift, how replies leave in Replying.swift, the time that connections are given in Deadlines.swift.

import CEvent
import EventLoops
import Glibc
import HTTP2
import HTTPSyntax
import POSIX
import Synchronization
import TLS

/// What a handler made of a request.
public enum Decision {
  /// The reply is written.
  case reply
  /// The reply follows by `HTTPServer.finish`.
  case wait
  /// Ask again when the connection has its turn: only where `Exchange.mayWait` is false, and nothing was counted yet.
  case later
}

/// Names a request whose reply follows. Good for one `finish`, on the server that gave it.
public struct Exchange: Sendable {
  let index: Int32
  let serial: UInt32
  /// Whether the request may be answered with `Decision.wait` in this turn of the loop, or must be put off by
  /// `Decision.later`: as many as may have begun to wait (`ServerLimits.waitsATurn`).
  public internal(set) var mayWait = true
  /// As many requests of the connection wait as may: one that would have to wait too is denied for overload. Then
  /// `mayWait` is false, and asking again later is no way out.
  public internal(set) var isFull = false
  /// Names the connection; no later one of this server has the same.
  public internal(set) var connection: UInt64 = 0
  /// A hash of the peer's address without its port, by a seed of this process; 0: there is none (`unix:`).
  public internal(set) var peer: UInt32 = 0
}

/// Answers requests. All calls come on the loop's thread; none may block.
public protocol RequestHandler: AnyObject {
  /// - Parameters:
  ///   - head: a complete, valid head; its ranges are offsets into `bytes`.
  ///   - bytes: the head's bytes; gone when the call returns.
  ///   - arrival: `Clock.monotonicNanoseconds` when the head was complete.
  ///   - exchange: to keep, when the answer is `.wait`.
  ///   - reply: reset; status 500 until set.
  func answer(
    _ head: borrowing RequestHead, _ bytes: Span<UInt8>, arrival: UInt64, exchange: Exchange,
    into reply: inout Reply
  ) -> Decision
  /// The gate refused a head or a connection.
  ///
  /// - Parameter bytes: what was refused, from the first byte of a head on; empty where nothing of one is here. Gone when
  ///   the call returns.
  func refused(_ refusal: Refusal, _ bytes: Span<UInt8>)
  /// A connection was accepted.
  func connectionOpened()
  /// A connection is gone.
  func connectionClosed()
  /// accept(2) failed; accepting pauses for 100 ms.
  func acceptFailed(_ error: SystemError)
  /// A connection has turned out to speak this. Told of each but those that speak HTTP/1 in clear.
  func connectionSpeaks(_ speech: ConnectionSpeech)
  /// A request has come over HTTP/2, good or refused.
  func streamOpened()
  /// A connection's HTTP/2 was ended by our will.
  func sessionFailed(_ failure: HTTP2Failure)
  /// A TLS handshake was not completed.
  ///
  /// - Parameter reason: in words; nothing that the client sent.
  func handshakeFailed(_ reason: String)
}

extension RequestHandler {
  public func connectionSpeaks(_ speech: ConnectionSpeech) {}
  public func streamOpened() {}
  public func sessionFailed(_ failure: HTTP2Failure) {}
  public func handshakeFailed(_ reason: String) {}
}

/// What a connection speaks, beside HTTP/1 in clear.
public enum ConnectionSpeech: UInt8, Sendable {
  case http2InClear, http1OverTLS, http2OverTLS
}

/// Bounds and deadlines of a server. Times in milliseconds.
public struct ServerLimits: Sendable {
  public var head = HeadLimits()
  /// For a head, from its first byte, or from accept on a new connection.
  public var headTimeout: Int64 = 5_000
  /// Between requests.
  public var idleTimeout: Int64 = 120_000
  /// For a reply to leave.
  public var writeTimeout: Int64 = 5_000
  /// For the client to take the last reply in and close.
  public var lingerTimeout: Int64 = 2_000
  /// Bytes that are read and thrown away while lingering.
  public var lingerBytes = 1 << 20
  /// Bytes of replies that are put together before they are sent: of pipelined requests what a client that reads none can
  /// make the server keep.
  public var wireBytes = 16_384
  /// Heads that one connection may have answered in a turn of the loop.
  public var headsATurn = 16
  /// Requests that may begin to wait in a turn of the loop; others of that turn wait for a turn of their connection, so
  /// that who needs no waiting is not behind all of them.
  public var waitsATurn = 64
  /// Connections whose time is over that are ended in a turn of the loop.
  public var expiriesATurn = 16
  /// Connections beyond the bound that may linger over their 503.
  public var refusedAtOnce = 64
  /// The status of a refusal for want of room (a connection or a half-received head too many): 401, 403 or 503.
  public var fullStatus: UInt16 = 503
  /// Its field lines beside the usual ones, each with CRLF.
  public var fullFieldLines = Array("Retry-After: 1\r\n".utf8)
  /// At the bound on connections, the oldest one makes room whatever it waits for, so that a new one always has a place.
  /// For listeners of which no request waits.
  public var oldestMakesRoom = false
  /// On drain, how long idle connections are left open, so that a request that is on its way to one is answered.
  public var drainGrace: Int64 = 1_000
  /// Whether the preface of HTTP/2 is understood in clear (RFC 9113, section 3.3).
  public var speaksHTTP2 = false
  public init() {}
}

/// A server of HTTP/1.1 and HTTP/2, in clear and over TLS, on one event loop.
///
/// evhttp accepts, owns connections and carries the requests of plain HTTP/1.1 that must wait; every byte of a client goes
/// through the gate first, and evhttp sees none of them. Thread: the loop's, for everything.
@safe public final class HTTPServer {
  public let loop: EventLoop
  public let limits: ServerLimits
  let handler: any RequestHandler
  let budget: ConnectionBudget
  let evhttp: OpaquePointer
  /// Owns the connections of TLS listeners; nil where there are none.
  private var secureEvhttp: OpaquePointer?
  /// What new connections of TLS listeners are met with; nil: they are closed.
  public var certificate: TLSServerContext?
  let framing = Framing()
  private var listeners: [Listener] = []

  /// Reused for each request.
  var scratch = Scratch()
  /// The connection whose stub evhttp is about to parse.
  var stubbed: Connection?
  var exchanges = ExchangeTable()
  /// Where sockets are read into: one buffer for all connections, since each read is judged or staged at once.
  let input = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 32 * 1024)

  let deadlines: Deadlines
  /// New connections that have sent nothing; the time for a head runs for them.
  let silent = ConnectionList<SilentLinks>()
  /// Connections that pipeline, in the order in which they get their turns.
  let turns = ConnectionList<TurnLinks>()
  var nextTurn: LoopTimer?
  /// Connections that wait for the rest of a head, in the order in which its first part came.
  let partials = ConnectionList<PartialLinks>()
  /// Requests that have begun to wait in this turn of the loop, but for those whose connection had its turn.
  var waitsThisTurn = 0
  /// `takeTurn` is at work.
  var isTakingTurn = false
  private var adopted: UInt64 = 0
  private let peerSeed = UInt64.random(in: 0...UInt64.max)
  private let ledger: IdleLedger
  /// Idle connections that another loop may have, and that this one does not have any more.
  private var owed = 0

  // Work for the end of this turn: libevent forbids it inside its buffer callbacks.
  private var adoptions: [Connection] = []
  private var completions: [Connection] = []
  private var closures: [Connection] = []
  private var spares = SpareConnections()
  private var soon: LoopTimer?
  private var acceptResume: LoopTimer?
  private let failures: Mailbox<SystemError>
  private var failuresAttachment: WakeUp.Attachment?
  private var claimsAttachment: WakeUp.Attachment?

  private(set) var openConnections = 0
  private(set) var isDraining = false
  private var onDrained: (() -> Void)?
  private var drainAccepting: LoopTimer?
  private var drainIdle: LoopTimer?

  /// - Parameters:
  ///   - handler: retained.
  ///   - budget: shared by the servers of all loops.
  public init(
    on loop: EventLoop, limits: ServerLimits, budget: ConnectionBudget, handler: any RequestHandler
  ) throws(SystemError) {
    guard let evhttp = unsafe evhttp_new(loop.base) else { throw SystemError("evhttp_new") }
    self.loop = loop
    self.limits = limits
    self.budget = budget
    self.handler = handler
    unsafe self.evhttp = unsafe evhttp
    ledger = try IdleLedger()
    failures = try Mailbox<SystemError>()
    deadlines = Deadlines(on: loop, limits)
    deadlines.onEnd = { [unowned self] in timeIsOver($0) }
    unsafe configure(
      evhttp,
      makeConnection: { _, context in
        unsafe Unmanaged<HTTPServer>.fromOpaque(context!).takeUnretainedValue().makeBufferevent(isSecure: false)
      })
    soon = LoopTimer(on: loop) { [unowned self] in settle() }
    nextTurn = LoopTimer(on: loop) { [unowned self] in takeTurn() }
    acceptResume = LoopTimer(on: loop) { [unowned self] in
      guard !isDraining else { return }
      for listener in listeners { listener.enable() }
    }
    claimsAttachment = ledger.wakeUp.attach(to: loop) { [unowned self] in
      sendDue(&scratch)
      owed += ledger.takeClaims()
      payWhatIsOwed()
      shedPartials()
      settleSoon()
    }
    budget.join(ledger)
    failuresAttachment = failures.attach(to: loop) { [unowned self] in acceptFailed($0) }
    hearFailures(of: UInt(bitPattern: evhttp))
    startFraming()
  }

  private func free(_ evhttp: OpaquePointer) {
    let address = UInt(bitPattern: evhttp)
    acceptFailures.withLock { _ = $0.removeValue(forKey: address) }
    unsafe evhttp_free(evhttp)
  }

  private func hearFailures(of evhttp: UInt) {
    acceptFailures.withLock { [failures] in $0[evhttp] = failures }
  }

  private func configure(
    _ evhttp: OpaquePointer,
    makeConnection: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> OpaquePointer?
  ) {
    // Should a byte of ours ever be misread, evhttp has bounds of its own.
    unsafe evhttp_set_max_headers_size(evhttp, 4096)
    unsafe evhttp_set_max_body_size(evhttp, 0)
    unsafe evhttp_set_default_content_type(evhttp, nil)
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    unsafe evhttp_set_bevcb(evhttp, makeConnection, context)
    unsafe evhttp_set_gencb(
      evhttp,
      { request, context in
        unsafe Unmanaged<HTTPServer>.fromOpaque(context!).takeUnretainedValue().stubArrived(request!)
      }, context)
  }

  deinit {
    budget.part(ledger)
    unsafe free(evhttp)
    if let secureEvhttp = unsafe secureEvhttp { unsafe free(secureEvhttp) }
    unsafe input.deallocate()
  }

  /// Accepts on a socket from now on, and owns it.
  ///
  /// - Parameter isSecure: its connections begin with a TLS handshake, under `certificate`.
  public func accept(on socket: ListenSocket, isSecure: Bool = false) throws(SystemError) {
    let owner = unsafe isSecure ? try ownerOfSecureConnections() : evhttp
    try socket.startListening()
    let flags = UInt32(LEV_OPT_CLOSE_ON_FREE) | UInt32(LEV_OPT_CLOSE_ON_EXEC)
    guard let listener = unsafe evconnlistener_new(loop.base, nil, nil, flags, 0, socket.descriptor),
      let bound = unsafe evhttp_bind_listener(owner, listener)
    else { throw SystemError("evhttp_bind_listener \(socket.address)") }
    // evhttp has made its own pointer the listener's argument, so that is what names the server here.
    unsafe evconnlistener_set_error_cb(listener) { listener, evhttp in
      let error = SystemError("accept")
      _ = unsafe evconnlistener_disable(listener)
      let server = UInt(bitPattern: evhttp)
      acceptFailures.withLock { $0[server] }?.post(error)
    }
    listeners.append(unsafe Listener(listener, bound, socket, owner))
  }

  /// evhttp does not say which listener a connection came from, so those of TLS have an evhttp of their own.
  private func ownerOfSecureConnections() throws(SystemError) -> OpaquePointer {
    if let made = unsafe secureEvhttp { return unsafe made }
    guard let made = unsafe evhttp_new(loop.base) else { throw SystemError("evhttp_new") }
    unsafe configure(
      made,
      makeConnection: { _, context in
        unsafe Unmanaged<HTTPServer>.fromOpaque(context!).takeUnretainedValue().makeBufferevent(isSecure: true)
      })
    unsafe secureEvhttp = unsafe made
    hearFailures(of: UInt(bitPattern: made))
    return unsafe made
  }

  private func acceptFailed(_ error: SystemError) {
    handler.acceptFailed(error)
    acceptResume?.schedule(afterMilliseconds: 100)
  }

  // MARK: - The life of a connection

  /// evhttp asks for the bufferevent of a connection that it has accepted.
  private func makeBufferevent(isSecure: Bool) -> OpaquePointer? {
    // Without one from here, evhttp would make its own, and read it past the gate.
    guard let made = unsafe bufferevent_socket_new(loop.base, -1, 0) else { fatalError("out of memory") }
    let connection = unsafe spares.take(self, made)
    connection.isSecure = isSecure
    _ = unsafe Unmanaged.passRetained(connection)
    adoptions.append(connection)
    settleSoon()
    return unsafe made
  }

  /// The turn in which a connection was accepted ends: evhttp has set it up, so both sides can be tied together.
  private func adopt(_ connection: Connection) {
    var argument: UnsafeMutableRawPointer?
    unsafe bufferevent_getcb(connection.bufferevent, nil, nil, nil, &argument)
    // evhttp's callbacks carry its connection (true in 2.1; `stubArrived` asserts it for each request).
    guard let evcon = unsafe argument else { fatalError("libevent: a connection with no evhttp_connection") }
    unsafe connection.evhttpConnection = OpaquePointer(evcon)
    connection.descriptor = unsafe bufferevent_getfd(connection.bufferevent)
    adopted += 1
    connection.number = adopted
    connection.peer = peer(of: connection)
    unsafe evhttp_connection_set_closecb(
      connection.evhttpConnection,
      { _, context in
        let connection = unsafe Unmanaged<Connection>.fromOpaque(context!)
        unsafe connection._withUnsafeGuaranteedRef { gone in gone.withServer { $0.forget(gone) } }
        unsafe connection.release()
      }, Unmanaged.passUnretained(connection).toOpaque())
    if connection.isSecure { startHandshake(connection) } else { startReading(connection) }
    openConnections += 1
    handler.connectionOpened()
    let isOneTooMany = !budget.enter() && budget.excess > leaving
    if isOneTooMany, !makeRoom() {
      handler.refused(.tooManyConnections, nothing.span)
      // It would not understand: no handshake, no reply.
      if connection.isSecure { return close(connection) }
      connection.isRefused = true
      budget.refuse()
      refuse(connection, .tooManyConnections)
      // Those that were refused linger, but not without bound.
      if budget.refused > limits.refusedAtOnce, let oldest = deadlines.refused.first { close(oldest) }
      return
    }
    guard connection.state != .closing else { return }
    move(connection, to: .head)
    silent.append(connection)
    publishIdle()
  }

  /// Connections of the bound that end with this turn, so that nobody need make room in their place.
  private var leaving: Int { closures.count { unsafe !$0.isRefused && $0.evhttpConnection != nil } }

  /// evhttp has written the peer's address down as it accepted, so this is no system call.
  private func peer(of connection: Connection) -> UInt32 {
    var address: UnsafeMutablePointer<CChar>?
    var port: UInt16 = 0
    unsafe evhttp_connection_get_peer(connection.evhttpConnection, &address, &port)
    guard var next = unsafe address else { return 0 }
    var hash = peerSeed
    // Safe: a C string of evhttp's, which lives as long as its connection.
    while unsafe next.pointee != 0 {
      hash = unsafe (hash ^ UInt64(UInt8(bitPattern: next.pointee))) &* 0x0000_0100_0000_01B3
      unsafe next += 1
    }
    // A unix: socket's peers have no names, and so no port.
    return port == 0 ? 0 : UInt32(truncatingIfNeeded: hash ^ hash >> 32) | 1
  }

  /// At the bound on connections, one is closed that lingers, or the one that has been idle for longest: between requests,
  /// or with none sent yet. False when no loop has one.
  private func makeRoom() -> Bool {
    if limits.oldestMakesRoom { return closeOldest() }
    guard let loser = budget.longestIdle() else { return false }
    if loser === ledger { return closeLongestIdle() }
    loser.claim()
    return true
  }

  /// Whatever it waits for; those that are new come last, so that they have time to ask.
  private func closeOldest() -> Bool {
    var oldest = deadlines.lingering.first ?? deadlines.idle.first
    if let head = deadlines.awaitingHead.first, oldest.map({ since($0) > since(head) }) ?? true { oldest = head }
    guard let victim = oldest ?? deadlines.writing.first else { return false }
    close(victim)
    return true
  }

  /// When a connection was given its time.
  private func since(_ connection: Connection) -> Int64 {
    connection.deadline - (connection.allowance.map(deadlines.time) ?? 0)
  }

  private func closeLongestIdle() -> Bool {
    // It has had its last reply, and is only waited for so that this arrives.
    if let lingering = deadlines.lingering.first {
      close(lingering)
      return true
    }
    // What the kernel holds for a connection may be a request: such a one is idle no more, though it has yet to be read.
    for _ in 0..<8 {
      guard let victim = silentSince < deadlines.idleSince ? silent.first : deadlines.idle.first else { return false }
      var waiting: Int32 = 0
      if unsafe ioctl(victim.descriptor, UInt(FIONREAD), &waiting) == 0, waiting > 0 {
        if victim.allowance == .idle { move(victim, to: .head) } else { isSilentNoMore(victim) }
        continue
      }
      sayGoodbye(victim)
      close(victim)
      return true
    }
    return false
  }

  /// Closes as many idle connections as other loops have claimed here, as far as there are some and there is need.
  private func payWhatIsOwed() {
    while owed > 0 {
      if budget.excess > 0, !closeLongestIdle() { return }
      owed -= 1
    }
  }

  private var silentSince: Int64 { silent.first.map { $0.deadline - limits.headTimeout } ?? .max }

  /// Tells the other loops which connections are here that can make room; what lingers goes before all others.
  func publishIdle() {
    let lingering = deadlines.lingering.count
    ledger.publish(
      count: deadlines.idle.count + silent.count + lingering,
      since: lingering > 0 ? 0 : min(deadlines.idleSince, silentSince))
    if owed > 0 { settleSoon() }
  }

  // MARK: - Half-received heads

  /// Tells the other loops since when a half-received head waits here.
  func publishPartials() { ledger.partialSince.store(partials.first?.partialSince ?? .max, ordering: .relaxed) }

  /// The rest of a head has come, or will not be waited for any longer.
  func isPartialNoMore(_ connection: Connection) {
    guard partials.contains(connection) else { return }
    partials.remove(connection)
    publishPartials()
  }

  /// Counts the memory that a connection's staged bytes take. Called where they have changed, never for a head that came
  /// whole.
  func accountForStaged(_ connection: Connection) {
    let bytes = connection.staged.capacity
    guard bytes != connection.countedBytes else { return }
    let growth = bytes - connection.countedBytes
    connection.countedBytes = bytes
    budget.countStaged(growth)
    if growth > 0 { shedPartials() }
  }

  /// Refuses the half-received heads that have waited for longest until all together are within their bound; those of
  /// another loop are its own to refuse.
  func shedPartials() {
    while budget.stagedExcess > 0, let longest = budget.longestPartial() {
      guard longest === ledger else { return longest.wakeUp.notify() }
      guard let victim = partials.first else { return }
      sendDue(&scratch)
      handler.refused(.tooManyPartialHeads, victim.staged.span)
      if victim.state == .framed { endFrames(victim) } else { refuse(victim, .tooManyPartialHeads) }
    }
  }

  /// The first byte has come, or the connection ends.
  func isSilentNoMore(_ connection: Connection) {
    guard silent.contains(connection) else { return }
    silent.remove(connection)
    publishIdle()
  }

  /// evhttp closes a connection; nothing may use it afterwards.
  private func forget(_ connection: Connection) {
    // A connection may be queued for closing as evhttp closes it: it must not be freed twice.
    unsafe connection.evhttpConnection = nil
    leaveLists(connection)
    connection.watch = nil
    connection.state = .closing
    if let reading = unsafe connection.reading { unsafe event_free(reading) }
    unsafe connection.reading = nil
    if connection.exchange >= 0 { exchanges.connectionIsGone(connection.exchange) }
    connection.exchange = -1
    forgetSession(connection)
    connection.secure = nil
    openConnections -= 1
    if connection.isRefused { budget.refusedLeaves() } else { budget.leave() }
    handler.connectionClosed()
    spares.retire(connection)
    accountForStaged(connection)
    if isDraining && openConnections == 0 { settleSoon() }
  }

  /// Frees a connection at the end of this turn; libevent forbids it inside buffer callbacks.
  func close(_ connection: Connection) {
    guard connection.state != .closing else { return }
    connection.state = .closing
    leaveLists(connection)
    connection.watch = nil
    pauseReading(connection)
    closures.append(connection)
    settleSoon()
  }

  private func leaveLists(_ connection: Connection) {
    isSilentNoMore(connection)
    isPartialNoMore(connection)
    if turns.contains(connection) { turns.remove(connection) }
    move(connection, to: nil)
  }

  /// evhttp has written a reply; the connection takes its next request at the end of this turn.
  func completed(_ connection: Connection) {
    completions.append(connection)
    settleSoon()
  }

  func settleSoon() { soon?.fireSoon() }

  private func settle() {
    waitsThisTurn = 0
    sendDue(&scratch)
    // In the order of their arrival: at the bound on connections, those before make room for those behind.
    for place in adoptions.indices { adopt(adoptions[place]) }
    adoptions.removeAll(keepingCapacity: true)
    while let connection = completions.popLast() {
      if connection.state == .replying { resume(connection) }
    }
    payWhatIsOwed()
    while let connection = closures.popLast() {
      // evhttp frees a request that it still holds with the connection; then nobody may answer it.
      if connection.exchange >= 0 { exchanges.requestIsGone(connection.exchange) }
      if let evcon = unsafe connection.evhttpConnection { unsafe evhttp_connection_free(evcon) }
    }
    if adoptions.isEmpty, completions.isEmpty, closures.isEmpty, scratch.due.isEmpty { spares.settle() }
    if isDraining, openConnections == 0, listeners.isEmpty, let done = onDrained {
      onDrained = nil
      done()
    }
  }

  // MARK: - Deadlines

  func move(_ connection: Connection, to allowance: Allowance?) {
    deadlines.move(connection, to: allowance)
    publishIdle()
  }

  private func timeIsOver(_ connection: Connection) {
    sendDue(&scratch)
    if connection.state == .partial {
      handler.refused(.headTimeout, connection.staged.span)
      refuse(connection, .headTimeout)
    } else if connection.state == .framed {
      framesAreLate(connection)
    } else {
      close(connection)
    }
  }

  // MARK: - Drain

  /// Stops accepting (what the kernel has already queued is taken), answers what comes with `Connection: close`, closes
  /// connections that stay idle for `drainGrace` (closed at once, a proxy could have a request on its way to one), and
  /// calls `done` when none is left.
  ///
  /// - Parameter acceptingFor: milliseconds for which it accepts all the same, because the kernel gives new connections to
  ///   another process and only handshakes that have begun still end here (`ReusePortGroup`).
  public func drain(acceptingFor: Int64 = 0, _ done: @escaping () -> Void) {
    guard !isDraining else { return }
    isDraining = true
    onDrained = done
    let acceptsUntil = loop.now + acceptingFor
    var turnsLeft = 200
    var areDisabled = false
    drainAccepting = LoopTimer(on: loop) { [unowned self] in
      if loop.now < acceptsUntil {
        drainAccepting?.schedule(afterMilliseconds: acceptsUntil - loop.now)
        return
      }
      turnsLeft -= 1
      if turnsLeft > 0, !areDisabled, listeners.contains(where: \.hasQueueToLose) {
        drainAccepting?.schedule(afterMilliseconds: 1)
        return
      }
      if !areDisabled {
        areDisabled = true
        for listener in listeners {
          if listener.isShared { listener.disable() } else { listener.close() }
        }
        listeners.removeAll { !$0.isShared }
        if !listeners.isEmpty {
          // libevent tells epoll of what has changed before it waits, so in the next turn epoll has let go of them. Closed
          // now, they would stay registered for as long as another descriptor of the same socket lives, and whatever
          // waits in its queue would keep this loop awake (epoll(7), "closing a file descriptor").
          drainAccepting?.schedule(afterMilliseconds: 0)
          return
        }
      }
      for listener in listeners { listener.close() }
      listeners = []
      settleSoon()
    }
    drainAccepting?.fireSoon()
    drainSessions()
    drainIdle = LoopTimer(on: loop) { [unowned self] in
      sendDue(&scratch)
      framing.isGraceOver = true
      drainSessions()
      // Whoever is closed leaves the lists.
      while let connection = deadlines.idle.first ?? silent.first { close(connection) }
    }
    drainIdle?.schedule(afterMilliseconds: limits.drainGrace)
  }
}

/// A listener that evhttp owns and frees.
@safe private struct Listener {
  private let pointer: OpaquePointer
  private let bound: OpaquePointer
  private let socket: ListenSocket
  private let evhttp: OpaquePointer

  init(_ pointer: OpaquePointer, _ bound: OpaquePointer, _ socket: ListenSocket, _ evhttp: OpaquePointer) {
    unsafe self.evhttp = unsafe evhttp
    unsafe self.pointer = unsafe pointer
    unsafe self.bound = unsafe bound
    self.socket = socket
  }

  /// Other descriptors, of this process or another one, may stand for the same socket.
  var isShared: Bool { socket.isShared }

  func disable() { _ = unsafe evconnlistener_disable(pointer) }
  func enable() { _ = unsafe evconnlistener_enable(pointer) }
  func close() { unsafe evhttp_del_accept_socket(evhttp, bound) }

  /// Connections stand in the kernel's queue that the close would reset; an inherited socket and its queue live on.
  var hasQueueToLose: Bool {
    guard !socket.isInherited else { return false }
    var query = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&query, 1, 0) > 0
  }
}

/// What is told of a connection that has sent nothing.
private let nothing: [UInt8] = []

/// Where a listener's failures are told, by the address of its evhttp: the C callback has no other way to its server.
private let acceptFailures = Locked<[UInt: Mailbox<SystemError>]>([:])
