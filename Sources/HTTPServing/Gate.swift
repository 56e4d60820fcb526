// The gate: it reads every connection itself, and judges every byte of a client before anything else could.
//
// Invariant: evhttp's bufferevents never read from a socket. libevent enables their reading when a connection starts and
// after each reply; the gate disables it again in the same turn of the loop, before anything is polled (`adopt`,
// `sendThroughEvhttp`, `resume`). So evhttp parses nothing but the constant stub. No connection is freed inside a
// callback: that waits for the end of the turn (HTTPServer.settle).

import CEvent
import EventLoops
import Glibc
import HTTPSyntax
import POSIX

/// What evhttp gets in place of a head that must wait: constant, so that it parses nothing a client wrote. The request's
/// own method, version and persistence are the gate's to know.
private let stub = Array("GET / HTTP/1.1\r\n\r\n".utf8)

/// What a request is judged and answered with; one a server. Handed down as one `inout`, so that the access to it is
/// checked once a read and not once a use.
struct Scratch: ~Copyable {
  var head = RequestHead()
  var reply = Reply()
  var format = WireFormat()
  /// The bytes of replies that leave next: those of `due` in their order, behind them what is being put together.
  var wire: [UInt8] = []
  /// Replies that leave before this turn of the loop is over.
  var due: [DueReply] = []

  init() {
    wire.reserveCapacity(8192)
    due.reserveCapacity(HTTPServer.repliesASend)
  }

  /// Gives up what is on the wire's buffer behind `start`.
  mutating func cut(to start: Int) {
    if due.isEmpty { wire.removeAll(keepingCapacity: true) } else { wire.removeLast(wire.count - start) }
  }
}

/// A reply that is put together: whose, and where in `Scratch.wire`.
struct DueReply {
  let connection: Connection
  let bytes: Range<Int>
}

extension HTTPServer {
  /// Starts reading a connection: evhttp has set it up, and from here on leaves its socket alone.
  func startReading(_ connection: Connection) {
    keepEvhttpFromReading(connection)
    unsafe connection.reading = unsafe event_new(
      loop.base, connection.descriptor, Int16(EV_READ | EV_PERSIST),
      { _, _, context in
        unsafe Unmanaged<Connection>.fromOpaque(context!)._withUnsafeGuaranteedRef { connection in
          connection.withServer { $0.readable(connection) }
        }
      }, Unmanaged.passUnretained(connection).toOpaque())
    resumeReading(connection)
  }

  /// What a client sends from here on waits in the kernel.
  func pauseReading(_ connection: Connection) { _ = unsafe event_del(connection.reading) }

  func resumeReading(_ connection: Connection) {
    guard !connection.hasEnded else { return }
    _ = unsafe event_add(connection.reading, nil)
    if connection.isSecure { readWhatIsDecrypted(connection) }
  }

  /// libevent has enabled the bufferevent's reading; see the invariant above.
  func keepEvhttpFromReading(_ connection: Connection) {
    unsafe bufferevent_disable(connection.bufferevent, Int16(EV_READ))
  }

  /// The socket has bytes, has ended, or has failed.
  private func readable(_ connection: Connection) {
    if connection.takesTurnsUntil > 0, takesTurnsNow(connection) {
      awaitTurn(connection)
    } else {
      read(connection, share: 1)
    }
  }

  func takesTurnsNow(_ connection: Connection) -> Bool {
    connection.state == .idle || connection.state == .partial || connection.state == .framed
  }

  /// - Parameter share: how many heads may be answered now.
  func read(_ connection: Connection, share: Int) {
    let count = unsafe recv(connection.descriptor, input.baseAddress, input.count, 0)
    guard count > 0 else {
      if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
      return ended(connection, isClean: count == 0)
    }
    // The bytes stay as they are while they are looked at: only this function writes there, and it is not re-entered.
    let bytes = unsafe UnsafeBufferPointer(start: input.baseAddress, count: count).span
    received(connection, bytes, share: share)
  }

  /// Bytes have come: in clear, or decrypted.
  @inline(__always)
  func received(_ connection: Connection, _ bytes: Span<UInt8>, share: Int) {
    let count = bytes.count
    isSilentNoMore(connection)
    switch connection.state {
    case .idle:
      let consumed = answerHeads(connection, bytes, share: share, sendsAtOnce: false, &scratch)
      if consumed < count {
        stage(connection, bytes.extracting(consumed..<count))
        accountForStaged(connection)
        if connection.state == .framed { return beginFrames(connection) }
      }
      handInStub(connection)
    case .framed:
      receiveFrames(connection, bytes, share: isTakingTurn ? share : limits.headsATurn)
    case .partial:
      connection.staged.append(copying: bytes)
      answerStaged(connection)
      accountForStaged(connection)
    case .yielding, .waiting, .replying:
      connection.staged.append(copying: bytes)
      accountForStaged(connection)
      // A client that goes on sending while its reply is on the way waits in the kernel from here on.
      if connection.staged.count > limits.head.maxHeadBytes { pauseReading(connection) }
    case .lingering:
      connection.swallowed += count
      if connection.swallowed > limits.lingerBytes { close(connection) }
    case .closing: break
    }
  }

  /// The client sends no more. What it has asked is still answered, a request that waits and those behind it: half a
  /// close is no leaving (RFC 9112 section 9.6).
  func ended(_ connection: Connection, isClean: Bool) {
    guard isClean, connection.state == .waiting || connection.state == .replying else { return close(connection) }
    connection.hasEnded = true
    if connection.staged.isEmpty { connection.closesAfterReply = true }
    pauseReading(connection)
  }

  /// Whether a reply may leave a little later in this turn of the loop, because there is more to do in it: then up to
  /// `repliesASend` leave one behind the other, and a proxy that sleeps between replies is woken once for them, not once
  /// for each. Whoever closes connections that may be in between sends what is due before (`sendDue`).
  private func mayWait(_ connection: Connection, _ scratch: borrowing Scratch) -> Bool {
    guard connection.state == .idle, !connection.closesAfterReply else { return false }
    if !scratch.due.isEmpty { return true }
    return unsafe event_base_get_num_events(loop.base, UInt32(EVENT_BASE_COUNT_ACTIVE)) > 0
  }

  // MARK: - Turns

  // Whoever asks one thing at a time is answered at once. Who pipelines gets one head at once and the rest in turns, and
  // whom the handler has put behind the others (`takeTurns`) gets each head so: `headsATurn` in a turn of the loop, of
  // one connection or of several. So a crowd that sends as much as it can keeps nobody else waiting for longer than that.

  /// For some time a connection's requests are looked at in turns with others, after those of connections that take none.
  ///
  /// - Parameters:
  ///   - exchange: one of the connection's that has not ended; ignored when its client has left.
  ///   - milliseconds: 0: no more so.
  public func takeTurns(_ exchange: Exchange, forMilliseconds milliseconds: Int64) {
    guard let connection = exchanges.connection(of: exchange) else { return }
    connection.takesTurnsUntil = milliseconds > 0 ? loop.now + milliseconds : 0
  }

  /// Nothing more is read from a connection until it has had its turn.
  func awaitTurn(_ connection: Connection) {
    guard !turns.contains(connection) else { return }
    pauseReading(connection)
    turns.append(connection)
    if turns.count == 1 { nextTurn?.schedule(afterMilliseconds: 0) }
  }

  /// The turns of connections, once in a turn of the loop: `headsATurn` heads at most.
  func takeTurn() {
    var left = limits.headsATurn
    isTakingTurn = true
    while left > 0, let connection = turns.first {
      turns.remove(connection)
      // Others ask one thing at a time; if one has sent more, it comes round again.
      let share = connection.state == .yielding || connection.state == .framed ? left : 1
      left -= share
      if connection.takesTurnsUntil <= loop.now { connection.takesTurnsUntil = 0 }
      resumeReading(connection)
      if connection.state == .yielding {
        connection.state = .idle
        answerWhatIsStaged(connection, share: share)
        accountForStaged(connection)
        closeIfEnded(connection)
      } else if connection.state == .framed {
        takeFramedTurn(connection, share: share)
      } else if connection.isSecure {
        readSecurely(connection, share: share)
      } else {
        read(connection, share: share)
      }
    }
    isTakingTurn = false
    if turns.count > 0 { nextTurn?.schedule(afterMilliseconds: 0) }
  }

  /// The rest of a head will never come, and neither will another.
  private func closeIfEnded(_ connection: Connection) {
    if connection.hasEnded, connection.state == .idle || connection.state == .partial { close(connection) }
  }

  /// Answers the heads that stand in `bytes`, one after the other, until the bytes end, a request must wait, or the
  /// connection has had its share. Returns how many bytes are done with.
  ///
  /// - Parameter sendsAtOnce: the caller may close the connection, so its replies must not wait for the turn's end.
  private func answerHeads(
    _ connection: Connection, _ bytes: Span<UInt8>, share: Int, sendsAtOnce: Bool, _ scratch: inout Scratch
  ) -> Int {
    let start = scratch.wire.count
    var done = 0
    var left = share
    while done < bytes.count, connection.state == .idle, !connection.closesAfterReply {
      guard left > 0 else {
        connection.state = .yielding
        break
      }
      switch scratch.head.parse(bytes.extracting(done..<bytes.count), limits: limits.head) {
      case .incomplete:
        flush(connection, &scratch, from: start)
        return done
      case .refused(.versionNotSupported)
      where done == 0 && isPreface(bytes, of: connection):
        connection.state = .framed
      case .refused(let refusal):
        handler.refused(refusal, bytes.extracting(done..<bytes.count))
        scratch.appendRefusal(refusal, limits)
        connection.closesAfterReply = true
      case .complete:
        let length = scratch.head.length
        guard answerHead(connection, bytes.extracting(done..<done + length), &scratch) else {
          connection.state = .yielding
          break
        }
        connection.hasAsked = true
        done += length
        left -= 1
        if scratch.wire.count - start >= limits.wireBytes, connection.state == .idle, !connection.closesAfterReply {
          flush(connection, &scratch, from: start)
        }
      }
    }
    if !sendsAtOnce, done == bytes.count, mayWait(connection, scratch) {
      if scratch.due.isEmpty { settleSoon() }
      scratch.due.append(DueReply(connection: connection, bytes: start..<scratch.wire.count))
      if scratch.due.count == Self.repliesASend || scratch.wire.count >= limits.wireBytes { sendDue(&scratch) }
    } else {
      flush(connection, &scratch, from: start)
    }
    // Behind a last reply nothing is looked at any more.
    return connection.closesAfterReply ? bytes.count : done
  }

  /// Asks the handler about the head that was just parsed, and puts its reply on the wire's buffer or the request on
  /// hold. False: it is to be asked again when the connection has its turn.
  private func answerHead(_ connection: Connection, _ bytes: Span<UInt8>, _ scratch: inout Scratch) -> Bool {
    scratch.reply.reset()
    var exchange = exchanges.next
    exchange.mayWait = waitsThisTurn < limits.waitsATurn || isTakingTurn
    exchange.connection = connection.number
    exchange.peer = connection.peer
    let decision = handler.answer(
      scratch.head, bytes, arrival: Clock.monotonicNanoseconds, exchange: exchange, into: &scratch.reply)
    let closes = !scratch.head.persistent || scratch.head.announcesBody || isDraining
    let isOld = scratch.head.minorVersion == 0
    switch decision {
    case .later:
      return false
    case .reply:
      scratch.format.append(
        scratch.reply, closes ? .close : isOld ? .keepAlive : .implied, withBody: !scratch.head.isHEAD,
        to: &scratch.wire)
      connection.closesAfterReply = closes
    case .wait:
      exchanges.begin(
        connection, PendingReply(closes: closes, isOldKeepAlive: isOld, withBody: !scratch.head.isHEAD))
      connection.exchange = exchange.index
      connection.state = .waiting
      if !connection.isSecure { stubbed = connection }
      move(connection, to: nil)
      if !isTakingTurn {
        waitsThisTurn += 1
        if waitsThisTurn == 1 { settleSoon() }
      }
    }
    return true
  }

  /// Keeps the beginning of a head, or what follows a waiting request or a turn.
  private func stage(_ connection: Connection, _ bytes: Span<UInt8>) {
    connection.staged.append(copying: bytes)
    switch connection.state {
    case .idle: awaitRest(connection)
    case .yielding:
      // Not idle, and no deadline: what is late here is the server.
      move(connection, to: nil)
      awaitTurn(connection)
    case .partial, .waiting, .replying, .framed, .lingering, .closing: break
    }
  }

  /// The staged bytes are the beginning of a head: its deadline runs, and its scan starts.
  private func awaitRest(_ connection: Connection) {
    connection.state = .partial
    connection.partialSince = loop.now
    partials.append(connection)
    publishPartials()
    connection.scanner = HeadScanner()
    if connection.allowance != .head { move(connection, to: .head) }
    // `parse` has just seen these bytes and found no end, so neither will this; it is where the next scan starts.
    _ = scanStaged(connection)
  }

  /// More bytes of a head are staged.
  private func answerStaged(_ connection: Connection) {
    guard scanStaged(connection) else { return }
    isPartialNoMore(connection)
    connection.state = .idle
    answerWhatIsStaged(connection, share: 1)
  }

  private func answerWhatIsStaged(_ connection: Connection, share: Int) {
    let bytes = connection.staged
    connection.staged = []
    let consumed = answerHeads(connection, bytes.span, share: share, sendsAtOnce: true, &scratch)
    if consumed < bytes.count { stage(connection, bytes.span.extracting(consumed..<bytes.count)) }
    if connection.state == .framed { return beginFrames(connection) }
    handInStub(connection)
  }

  /// True when the staged bytes are ready to be judged: a whole head, or bytes that no head may hold.
  private func scanStaged(_ connection: Connection) -> Bool {
    let staged = connection.staged
    return connection.scanner.scan(staged.span, limits: limits.head) == .ready
  }

  /// evhttp has parsed a stub: here is its request, to be answered when the handler has decided.
  func stubArrived(_ request: OpaquePointer) {
    guard let connection = stubbed else { fatalError("libevent: a request that the gate did not hand in") }
    stubbed = nil
    precondition(
      unsafe evhttp_request_get_connection(request) == connection.evhttpConnection,
      "libevent: a stub turned up on another connection")
    unsafe evhttp_request_set_on_complete_cb(
      request,
      { _, context in
        unsafe Unmanaged<Connection>.fromOpaque(context!)._withUnsafeGuaranteedRef { connection in
          connection.withServer { $0.completed(connection) }
        }
      }, Unmanaged.passUnretained(connection).toOpaque())
    unsafe exchanges.carry(connection.exchange, request)
  }

  /// A reply that went through evhttp, or that was stuck, is out: the next head, if one is here already.
  func resume(_ connection: Connection) {
    keepEvhttpFromReading(connection)
    if connection.closesAfterReply { return linger(connection) }
    connection.state = .idle
    move(connection, to: .idle)
    resumeReading(connection)
    if !connection.staged.isEmpty {
      answerWhatIsStaged(connection, share: 1)
      accountForStaged(connection)
    } else if isDraining {
      close(connection)
    }
    closeIfEnded(connection)
  }

  /// Lets evhttp carry a request that waits. Its input's end is frozen outside of a read, and its callback must be run.
  private func handInStub(_ connection: Connection) {
    guard stubbed === connection else { return }
    let input = unsafe bufferevent_get_input(connection.bufferevent)
    unsafe evbuffer_unfreeze(input, 0)
    unsafe evbuffer_add(input, stub, stub.count)
    unsafe evbuffer_freeze(input, 0)
    unsafe bufferevent_trigger(connection.bufferevent, Int16(EV_READ), 0)
  }
}
