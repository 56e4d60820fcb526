// How replies leave: written at once by the gate, through evhttp for requests that waited, as a literal for refusals;
// and how a connection ends so that its last reply arrives.

import CEvent
import EventLoops
import Glibc
import HTTPSyntax
import POSIX

extension HTTPServer {
  /// How many replies are put together in a turn of the loop before they are sent.
  static var repliesASend: Int { 8 }

  /// Sends what is on the wire's buffer behind `start`, and moves the connection on: next request, stuck, or its end.
  func flush(_ connection: Connection, _ scratch: inout Scratch, from start: Int) {
    flush(connection, scratch.wire.span.extracting(start...))
    scratch.cut(to: start)
  }

  /// Sends the replies that are due. Called before anything in a turn of the loop that could close their connections.
  func sendDue(_ scratch: inout Scratch) {
    guard !scratch.due.isEmpty else { return }
    for place in scratch.due.indices {
      let connection = scratch.due[place].connection
      if connection.state == .idle { flush(connection, scratch.wire.span.extracting(scratch.due[place].bytes)) }
    }
    scratch.due.removeAll(keepingCapacity: true)
    scratch.wire.removeAll(keepingCapacity: true)
  }

  func flush(_ connection: Connection, _ bytes: Span<UInt8>) {
    let sent = send(connection, bytes)
    guard sent >= 0 else { return close(connection) }
    if sent < bytes.count {
      connection.unsent.append(copying: bytes.extracting(sent...))
      if connection.state == .idle || connection.state == .yielding { connection.state = .replying }
      move(connection, to: .writing)
      pauseReading(connection)
      watchForWriting(connection)
    } else if connection.closesAfterReply {
      linger(connection)
    } else if connection.state == .idle && sent > 0 {
      move(connection, to: .idle)
    }
  }

  /// Bytes that the socket took; 0 when it is full, -1 when it is dead.
  private func send(_ connection: Connection, _ bytes: Span<UInt8>) -> Int {
    guard !bytes.isEmpty else { return 0 }
    if connection.isSecure { return sendSecurely(connection, bytes) }
    let sent = unsafe bytes.withUnsafeBytes {
      unsafe Glibc.send(connection.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    if sent >= 0 { return sent }
    return errno == EAGAIN || errno == EINTR ? 0 : -1
  }

  private func watchForWriting(_ connection: Connection) {
    connection.watch = DescriptorWatch(connection.descriptor, for: EV_WRITE, on: loop) {
      [unowned self, unowned connection] in
      let unsent = connection.unsent
      let sent = send(connection, unsent.span)
      guard sent >= 0 else { return close(connection) }
      connection.unsent.removeFirst(sent)
      guard connection.unsent.isEmpty else { return }
      if connection.closesAfterReply { return linger(connection) }
      connection.watch = nil
      if connection.state == .framed { return framesAreSent(connection) }
      if connection.state == .replying { completed(connection) } else { move(connection, to: nil) }
    }
  }

  // MARK: - Refusals

  /// Refuses what a connection sends, outside of a head's own turn.
  func refuse(_ connection: Connection, _ refusal: Refusal) {
    let start = scratch.wire.count
    scratch.appendRefusal(refusal, limits)
    isPartialNoMore(connection)
    connection.staged = []
    accountForStaged(connection)
    connection.closesAfterReply = true
    connection.state = .idle
    flush(connection, &scratch, from: start)
  }

  // MARK: - Replies that waited

  /// Answers a request whose handler said `.wait`. Once for each exchange; later calls are ignored.
  ///
  /// - Parameter write: fills the reply; not called when the client has left.
  /// - Returns: whether the client was still there.
  @discardableResult
  public func finish(_ exchange: Exchange, _ write: (inout Reply) -> Void) -> Bool {
    // The buffer is written anew below.
    sendDue(&scratch)
    guard let (connection, request, pending) = unsafe exchanges.end(exchange) else { return false }
    guard let connection else {
      // evhttp has let go of the request, which this call frees.
      if let request = unsafe request { unsafe evhttp_send_reply(request, 500, "", nil) }
      return false
    }
    if pending.stream > 0 { return finishStream(connection, pending, exchange, write) }
    connection.exchange = -1
    // It ends in this turn, and evhttp frees the request with it.
    guard connection.state != .closing else { return false }
    scratch.reply.reset()
    write(&scratch.reply)
    connection.state = .replying
    let closes = pending.closes || connection.closesAfterReply || isDraining
    if connection.isSecure, !closes, connection.unsent.isEmpty {
      scratch.appendReply(pending.isOldKeepAlive ? .keepAlive : .implied, withBody: pending.withBody)
      flush(connection, &scratch, from: 0)
      if connection.unsent.isEmpty { completed(connection) }
    } else if let request = unsafe request, !closes, connection.unsent.isEmpty {
      unsafe sendThroughEvhttp(connection, request, pending, &scratch)
    } else {
      // evhttp would close at once, and the reply might not arrive; it keeps the request until the connection's end.
      scratch.appendReply(.close, withBody: pending.withBody)
      connection.closesAfterReply = true
      if connection.unsent.isEmpty {
        flush(connection, &scratch, from: 0)
      } else {
        connection.unsent += scratch.wire
        scratch.cut(to: 0)
      }
    }
    return true
  }

  private func sendThroughEvhttp(
    _ connection: Connection, _ request: OpaquePointer, _ pending: PendingReply, _ scratch: inout Scratch
  ) {
    let headers = unsafe evhttp_request_get_output_headers(request)
    scratch.format.writeFieldLines(of: scratch.reply, isOldKeepAlive: pending.isOldKeepAlive, to: &scratch.wire)
    let body = pending.withBody && !scratch.reply.body.isEmpty ? unsafe evbuffer_new() : nil
    defer { if let body = unsafe body { unsafe evbuffer_free(body) } }
    guard unsafe Self.add(&scratch.wire, to: headers),
      unsafe body == nil || evbuffer_add(body, scratch.reply.body, scratch.reply.body.count) == 0
    else { return close(connection) }
    move(connection, to: .writing)
    let status = scratch.reply.status
    let reason = unsafe UnsafeRawPointer(WireFormat.reason(status).utf8Start).assumingMemoryBound(to: CChar.self)
    unsafe evhttp_send_reply(request, Int32(status), reason, body)
    keepEvhttpFromReading(connection)
    writeAtOnce(connection)
  }

  /// evhttp waits for the loop to say that the socket is writable; a reply of a few hundred bytes need not.
  private func writeAtOnce(_ connection: Connection) {
    let output = unsafe bufferevent_get_output(connection.bufferevent)
    unsafe evbuffer_unfreeze(output, 1)
    _ = unsafe evbuffer_write(output, connection.descriptor)
    unsafe evbuffer_freeze(output, 1)
    if unsafe evbuffer_get_length(output) == 0 {
      unsafe bufferevent_disable(connection.bufferevent, Int16(EV_WRITE))
      unsafe bufferevent_trigger(
        connection.bufferevent, Int16(EV_WRITE), Int32(BEV_TRIG_DEFER_CALLBACKS.rawValue))
    }
  }

  /// Gives evhttp each of the field lines as name and value, which are taken apart in place: no copy, so no allocation.
  /// False when it refuses one.
  private static func add(_ wire: inout [UInt8], to headers: UnsafeMutablePointer<evkeyvalq>?) -> Bool {
    var added = true
    var start = 0
    unsafe wire.withUnsafeMutableBufferPointer { buffer in
      var at = 0
      var colon = -1
      while at < buffer.count {
        // Each line ends in CRLF and its name in ": "; both become the end of a C string in place.
        if colon < 0, unsafe buffer[at] == UInt8(ascii: ":") { colon = at }
        if unsafe buffer[at] == 13, at + 1 < buffer.count, colon > start {
          unsafe buffer[at] = 0
          unsafe buffer[colon] = 0
          let value = min(colon + 2, at)
          unsafe buffer.withMemoryRebound(to: CChar.self) { text in
            let base = text.baseAddress!
            if unsafe evhttp_add_header(headers, base + start, base + value) != 0 { added = false }
          }
          start = at + 2
          colon = -1
          at += 1
        }
        at += 1
      }
    }
    return added && start == wire.count
  }

  // MARK: - The end of a connection

  /// Shuts the write side and waits, bounded in time and bytes, for the client to close: closing at once with unread
  /// bytes in the socket would reset the connection and could take the reply with it (RFC 9112 section 9.6).
  func linger(_ connection: Connection) {
    connection.state = .lingering
    connection.staged = []
    accountForStaged(connection)
    connection.watch = nil
    unsafe bufferevent_disable(connection.bufferevent, Int16(EV_READ | EV_WRITE))
    connection.secure?.sayGoodbye()
    shutdown(connection.descriptor, Int32(SHUT_WR))
    if connection.hasEnded { return close(connection) }
    resumeReading(connection)
    move(connection, to: connection.isRefused ? .refused : .lingering)
  }
}

extension Scratch {
  /// Puts a refusal on the wire: the same literal for everyone, and the connection closes after it.
  mutating func appendRefusal(_ refusal: Refusal, _ limits: ServerLimits) {
    write(refusal, limits)
    format.append(reply, .close, withBody: true, to: &wire)
  }

  /// Makes the reply a refusal.
  mutating func write(_ refusal: Refusal, _ limits: ServerLimits) {
    let isForWantOfRoom = refusal == .tooManyConnections || refusal == .tooManyPartialHeads
    reply.reset()
    reply.status = isForWantOfRoom ? limits.fullStatus : UInt16(refusal.status)
    reply.append(fieldLines: Self.plainText)
    if isForWantOfRoom { reply.append(fieldLines: limits.fullFieldLines) }
    refusal.body.withUTF8Buffer { unsafe reply.append(body: Array($0)) }
  }

  /// Puts the reply alone on the wire.
  mutating func appendReply(_ persistence: WireFormat.Persistence, withBody: Bool) {
    wire.removeAll(keepingCapacity: true)
    format.append(reply, persistence, withBody: withBody, to: &wire)
  }

  private static let plainText = Array("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n".utf8)
}
