// How connections that speak HTTP/2 end: by a drain, by a deadline, by the client, and what is told to it before.

import EventLoops
import HTTP2
import HTTPSyntax

extension HTTPServer {
  /// A drain has begun, or its grace is over: each client is told so (RFC 9113, section 6.8).
  func drainSessions() {
    for connection in Array(framing.open.values) {
      guard let session = connection.session else { continue }
      framesAreDone(connection, session, hasAsked: false)
    }
  }

  /// Puts the GOAWAY frames of a drain on the session's buffer, each once.
  func announceDrain(_ session: FramedSession) {
    guard isDraining else { return }
    if !session.announcesDrain {
      session.announcesDrain = true
      session.http2.announceDrain(into: &session.outgoing)
    }
    if framing.isGraceOver, !session.isDrained {
      session.isDrained = true
      session.http2.drain(into: &session.outgoing)
    }
  }

  /// The client sends no more. What it has asked is still answered.
  func framesHaveEnded(_ connection: Connection) {
    guard let session = connection.session else { return close(connection) }
    framesAreDone(connection, session, hasAsked: false)
  }

  /// The time of a connection is over.
  func framesAreLate(_ connection: Connection) {
    let none: [UInt8] = []
    if connection.session?.http2.partialSince != nil { handler.refused(.headTimeout, none.span) }
    endFrames(connection)
  }

  /// Tells the client which of its streams were looked at, and ends the connection.
  func endFrames(_ connection: Connection) {
    guard let session = connection.session, connection.unsent.isEmpty else { return close(connection) }
    session.http2.drain(into: &session.outgoing)
    connection.closesAfterReply = true
    flush(connection, session.outgoing.span)
    session.outgoing = []
    // The socket has not taken it at once.
    if connection.state == .framed { close(connection) }
  }

  /// Before an idle connection is closed to make room: its client can tell a request that was not looked at.
  func sayGoodbye(_ connection: Connection) {
    guard connection.state == .framed, let session = connection.session, connection.unsent.isEmpty else { return }
    session.http2.drain(into: &session.outgoing)
    flush(connection, session.outgoing.span)
    session.outgoing = []
  }

  /// The connection is gone; what waits for it has nobody to be told.
  func forgetSession(_ connection: Connection) {
    guard let session = connection.session else { return }
    for exchange in session.exchanges { exchanges.connectionIsGone(exchange) }
    framing.open[connection.number] = nil
    connection.session = nil
  }
}
