// HTTP/2 over a connection of the gate, in clear or over TLS: bytes to heads, heads to the handler, replies to frames.
// What a frame may be and cost is HTTP2Connection's to say; what is here is when to read, to write and to end.

import EventLoops
import Glibc
import HTTP2
import HTTPSyntax
import POSIX

/// What a server keeps of one connection that speaks HTTP/2. Thread: the loop's.
final class FramedSession {
  let http2: HTTP2Connection
  /// Frames that leave with the next flush.
  var outgoing: [UInt8] = []
  /// Names of its requests that wait, at most `HTTP2Limits.waiting`.
  var exchanges: [Int32] = []
  /// What `http2.partialSince` was when the time for a head began.
  var timedPartial: UInt64?
  /// Has replies that leave before this turn of the loop is over.
  var isDirty = false
  var announcesDrain = false
  var isDrained = false
  var hasFailed = false

  init(_ http2: HTTP2Connection) { self.http2 = http2 }
}

/// What the connections of one server that speak HTTP/2 share.
final class Framing {
  let fields = HTTP2Scratch()
  /// Sizes and shares are those of HTTP/1.
  var limits = HTTP2Limits()
  /// What a stream is judged and answered with.
  var scratch = Scratch()
  /// An empty buffer with room, lent to the session at work.
  var spare: [UInt8] = []
  /// By the connections' numbers.
  var open: [UInt64: Connection] = [:]
  /// Those with replies that leave in this turn.
  var dirty: [Connection] = []
  var soon: LoopTimer?
  var ticks: LoopTimer?
  var isTicking = false
  /// The drain's grace is over: no new stream is looked at.
  var isGraceOver = false

  init() {
    spare.reserveCapacity(8192)
  }
}

extension HTTPServer {
  /// Once, as the server is made.
  func startFraming() {
    framing.limits = HTTP2Limits(head: limits.head)
    framing.limits.headsATurn = limits.headsATurn
    framing.soon = LoopTimer(on: loop) { [unowned self] in sendFinished() }
    framing.ticks = LoopTimer(on: loop) { [unowned self] in tick() }
  }

  /// Whether a connection's first bytes, a request line at least, are those of HTTP/2 with prior knowledge (RFC 9113,
  /// sections 3.3 and 3.4). What begins like them and goes on otherwise is HTTP/1, and refused.
  func isPreface(_ bytes: Span<UInt8>, of connection: Connection) -> Bool {
    guard limits.speaksHTTP2, !connection.isSecure, !connection.hasAsked else { return false }
    let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    return preface.withUTF8Buffer { preface in
      (0..<min(bytes.count, preface.count)).allSatisfy { unsafe bytes[$0] == preface[$0] }
    }
  }

  /// The connection, which is `.framed` now, speaks HTTP/2 from its first byte on; those that came are staged.
  func beginFrames(_ connection: Connection) {
    isPartialNoMore(connection)
    guard let http2 = HTTP2Connection(limits: framing.limits, scratch: framing.fields) else { return close(connection) }
    let session = FramedSession(http2)
    connection.session = session
    framing.open[connection.number] = connection
    if !connection.isSecure { handler.connectionSpeaks(.http2InClear) }
    // The server's SETTINGS.
    withOutgoing(session) { _ = http2.tick(now: Clock.monotonicNanoseconds, into: &$0) }
    let bytes = connection.staged
    connection.staged = []
    receiveFrames(connection, bytes.span, share: limits.headsATurn)
  }

  /// Bytes of frames have come.
  ///
  /// - Parameter share: how many heads may be answered now.
  func receiveFrames(_ connection: Connection, _ bytes: Span<UInt8>, share: Int) {
    guard let session = connection.session else { return close(connection) }
    // Nothing is read while something is staged or stuck, but what came with the bytes before.
    guard connection.staged.isEmpty, connection.unsent.isEmpty else {
      connection.staged.append(copying: bytes)
      return framesAreDone(connection, session, hasAsked: false)
    }
    let (consumed, heads) = answerFrames(connection, session, bytes, share: share)
    if consumed < bytes.count { connection.staged.append(copying: bytes.extracting(consumed...)) }
    framesAreDone(connection, session, hasAsked: heads > 0)
  }

  /// The connection's turn has come.
  func takeFramedTurn(_ connection: Connection, share: Int) {
    // Its reply will set it off again, when it is out.
    guard connection.unsent.isEmpty else { return pauseReading(connection) }
    if connection.staged.isEmpty {
      if connection.isSecure { readSecurely(connection, share: share) } else { read(connection, share: share) }
    } else {
      let bytes = connection.staged
      connection.staged = []
      receiveFrames(connection, bytes.span, share: share)
    }
  }

  /// Lends the session a buffer with room.
  private func withOutgoing<Result>(_ session: FramedSession, _ body: (inout [UInt8]) -> Result) -> Result {
    if session.outgoing.isEmpty { swap(&session.outgoing, &framing.spare) }
    var outgoing: [UInt8] = []
    swap(&outgoing, &session.outgoing)
    defer { swap(&outgoing, &session.outgoing) }
    return body(&outgoing)
  }

  // MARK: - Heads

  /// Returns how many bytes are done with, and how many heads were answered or put on hold.
  private func answerFrames(
    _ connection: Connection, _ session: FramedSession, _ bytes: Span<UInt8>, share: Int
  ) -> (consumed: Int, heads: Int) {
    let now = Clock.monotonicNanoseconds
    var offset = 0
    var left = share
    var outgoing: [UInt8] = []
    if session.outgoing.isEmpty { swap(&session.outgoing, &framing.spare) }
    swap(&outgoing, &session.outgoing)
    defer { swap(&outgoing, &session.outgoing) }
    while true {
      // Whoever may have to wait in a later turn only is not looked at before it.
      let mayGoOn = left > 0 && (waitsThisTurn < limits.waitsATurn || isTakingTurn)
      if offset < bytes.count, !mayGoOn { return (offset, share - left) }
      switch session.http2.receive(
        bytes, from: &offset, now: now, head: &framing.scratch.head, wire: &outgoing)
      {
      case .head(let stream):
        left -= 1
        answer(stream, connection, session, now, &framing.scratch, &outgoing)
      case .refused(let stream, let refusal):
        left -= 1
        handler.streamOpened()
        handler.refused(refusal, bytes.extracting(first: 0))
        framing.scratch.write(refusal, limits)
        respond(stream, session, now, withBody: true, refusal, &framing.scratch, &outgoing)
      case .needsMore, .over:
        return (bytes.count, share - left)
      }
    }
  }

  private func answer(
    _ stream: Int32, _ connection: Connection, _ session: FramedSession, _ now: UInt64, _ scratch: inout Scratch,
    _ outgoing: inout [UInt8]
  ) {
    handler.streamOpened()
    scratch.reply.reset()
    var exchange = exchanges.next
    exchange.isFull = session.http2.waiting >= framing.limits.waiting
    exchange.mayWait = !exchange.isFull
    exchange.connection = connection.number
    exchange.peer = connection.peer
    let bytes = framing.fields.headBytes
    let decision = handler.answer(
      scratch.head, bytes.span, arrival: Clock.monotonicNanoseconds, exchange: exchange, into: &scratch.reply)
    let withBody = !scratch.head.isHEAD
    switch decision {
    case .reply: respond(stream, session, now, withBody: withBody, nil, &scratch, &outgoing)
    case .wait where session.http2.hold(stream):
      exchanges.begin(
        connection, PendingReply(closes: false, isOldKeepAlive: false, withBody: withBody, stream: stream))
      session.exchanges.append(exchange.index)
      if !isTakingTurn {
        waitsThisTurn += 1
        if waitsThisTurn == 1 { settleSoon() }
      }
    case .wait, .later:
      // Against the contract (`Exchange.isFull`): the reply is what it was reset to, a 500, and one that follows goes nowhere.
      if case .wait = decision {
        exchanges.begin(connection, PendingReply(closes: true, isOldKeepAlive: false, withBody: false, stream: stream))
        exchanges.connectionIsGone(exchange.index)
      }
      scratch.reply.reset()
      respond(stream, session, now, withBody: withBody, nil, &scratch, &outgoing)
    }
  }

  /// Puts the reply in frames.
  private func respond(
    _ stream: Int32, _ session: FramedSession, _ now: UInt64, withBody: Bool, _ refusal: Refusal?,
    _ scratch: inout Scratch, _ outgoing: inout [UInt8]
  ) {
    scratch.format.writeFieldLines(of: scratch.reply, isOldKeepAlive: false, to: &scratch.wire)
    let body = scratch.reply.body.span
    session.http2.respond(
      stream, status: scratch.reply.status, fieldLines: scratch.wire.span,
      body: withBody ? body : body.extracting(first: 0), refusal: refusal, now: now, into: &outgoing)
  }

  // MARK: - Replies that waited

  /// `finish` for a stream.
  func finishStream(
    _ connection: Connection, _ pending: PendingReply, _ exchange: Exchange, _ write: (inout Reply) -> Void
  ) -> Bool {
    guard let session = connection.session else { return false }
    if let place = session.exchanges.firstIndex(of: exchange.index) { session.exchanges.remove(at: place) }
    guard connection.state == .framed else { return false }
    let wasThere = finish(pending, session, write, &framing.scratch)
    markDirty(connection, session)
    return wasThere
  }

  private func finish(
    _ pending: PendingReply, _ session: FramedSession, _ write: (inout Reply) -> Void, _ scratch: inout Scratch
  ) -> Bool {
    scratch.reply.reset()
    write(&scratch.reply)
    scratch.format.writeFieldLines(of: scratch.reply, isOldKeepAlive: false, to: &scratch.wire)
    let body = scratch.reply.body.span
    return session.http2.finish(
      pending.stream, status: scratch.reply.status, fieldLines: scratch.wire.span,
      body: pending.withBody ? body : body.extracting(first: 0), now: Clock.monotonicNanoseconds,
      into: &session.outgoing)
  }

  /// Its replies of this turn leave in one write, at the turn's end.
  private func markDirty(_ connection: Connection, _ session: FramedSession) {
    guard !session.isDirty else { return }
    session.isDirty = true
    framing.dirty.append(connection)
    if framing.dirty.count == 1 { framing.soon?.fireSoon() }
  }

  private func sendFinished() {
    let connections = framing.dirty
    framing.dirty.removeAll(keepingCapacity: true)
    for connection in connections {
      guard let session = connection.session, session.isDirty else { continue }
      session.isDirty = false
      framesAreDone(connection, session, hasAsked: true)
    }
  }

  // MARK: - After bytes and replies

  /// Sends what is to be sent, and gives the connection its time, its turn or its end.
  ///
  /// - Parameter hasAsked: a request was answered or put on hold, so that the time of an idle connection begins anew.
  func framesAreDone(_ connection: Connection, _ session: FramedSession, hasAsked: Bool) {
    guard connection.state == .framed else { return }
    let http2 = session.http2
    announceDrain(session)
    if http2.isOver || connection.hasEnded && http2.waiting == 0 && connection.staged.isEmpty {
      connection.closesAfterReply = true
      if let failure = http2.failure, !session.hasFailed {
        session.hasFailed = true
        handler.sessionFailed(failure)
      }
    }
    sendFrames(connection, session)
    guard connection.state == .framed else { return }
    giveTime(connection, session, hasAsked: hasAsked)
    if !connection.staged.isEmpty, connection.unsent.isEmpty { awaitTurn(connection) }
    if http2.hasTimers, !framing.isTicking {
      framing.isTicking = true
      framing.ticks?.schedule(afterMilliseconds: 1000)
    }
    accountForFrames(connection, session)
  }

  private func sendFrames(_ connection: Connection, _ session: FramedSession) {
    var outgoing: [UInt8] = []
    swap(&outgoing, &session.outgoing)
    if connection.unsent.isEmpty {
      flush(connection, outgoing.span)
    } else {
      connection.unsent += outgoing
    }
    outgoing.removeAll(keepingCapacity: outgoing.capacity <= 65_536)
    if outgoing.capacity > framing.spare.capacity { swap(&outgoing, &framing.spare) }
  }

  /// What was stuck is out.
  func framesAreSent(_ connection: Connection) {
    guard let session = connection.session else { return close(connection) }
    resumeReading(connection)
    move(connection, to: nil)
    framesAreDone(connection, session, hasAsked: true)
  }

  private func giveTime(_ connection: Connection, _ session: FramedSession, hasAsked: Bool) {
    // It has the time of a reply.
    guard connection.unsent.isEmpty else { return }
    let http2 = session.http2
    let begun = http2.partialSince
    defer { session.timedPartial = begun }
    if http2.unsentBodyBytes > 0 {
      if connection.allowance != .writing { move(connection, to: .writing) }
    } else if let begun {
      if connection.allowance != .head || session.timedPartial != begun { move(connection, to: .head) }
    } else if http2.waiting > 0 || !connection.staged.isEmpty {
      if connection.allowance != nil { move(connection, to: nil) }
    } else if hasAsked || connection.allowance != .idle {
      // A frame alone, such as a PING, keeps no connection from being idle.
      move(connection, to: .idle)
    }
  }

  /// Counts the memory of what is half received.
  private func accountForFrames(_ connection: Connection, _ session: FramedSession) {
    let partial = session.http2.partialBytes
    if partial == 0 {
      isPartialNoMore(connection)
    } else if !partials.contains(connection) {
      connection.partialSince = loop.now
      partials.append(connection)
      publishPartials()
    }
    let bytes = connection.staged.capacity + partial
    guard bytes != connection.countedBytes else { return }
    let growth = bytes - connection.countedBytes
    connection.countedBytes = bytes
    budget.countStaged(growth)
    if growth > 0 { shedPartials() }
  }

  private func tick() {
    framing.isTicking = false
    let now = Clock.monotonicNanoseconds
    for connection in Array(framing.open.values) {
      guard let session = connection.session, session.http2.hasTimers, connection.state == .framed else { continue }
      withOutgoing(session) { _ = session.http2.tick(now: now, into: &$0) }
      framesAreDone(connection, session, hasAsked: false)
    }
  }
}
