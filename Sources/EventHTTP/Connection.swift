// One client's connection as the gate sees it, and the lists that give it deadlines.
//
// Memory: the server holds one retain a connection, from the moment that evhttp asks for a bufferevent until its
// connection closes (`closecb`); links and C contexts are unretained. All on the loop's thread.

import CEvent
import HTTPSyntax

@safe final class Connection {
  enum State {
    /// Between requests, or new: no byte of a head is here.
    case idle
    /// A part of a head is staged.
    case partial
    /// A request waits for its handler; evhttp holds the stub.
    case waiting
    /// A reply is on its way through evhttp, or is stuck at a full socket; no new request is looked at.
    case replying
    /// The last reply is out and the write side is shut; what comes is thrown away, bounded.
    case lingering
    /// Will be freed in this turn of the loop.
    case closing
  }

  unowned let server: HTTPServer
  let bufferevent: OpaquePointer
  /// evhttp's side of the connection; known from the turn in which it was accepted.
  var evhttpConnection: OpaquePointer?
  var descriptor: Int32 = -1
  var state = State.idle
  /// Bytes that came and are not judged yet: a part of a head, or what was pipelined behind a waiting request.
  var staged: [UInt8] = []
  var scanner = HeadScanner()
  /// The end of a reply that the socket did not take.
  var unsent: [UInt8] = []
  /// Close after what is being written.
  var closesAfterReply = false
  /// No request has been answered on it yet.
  var isFresh = true
  /// Bytes thrown away since the write side was shut.
  var swallowed = 0
  /// The gate's own event on the socket; libevent's read nothing.
  var reading: OpaquePointer?
  /// The client has closed its side.
  var hasEnded = false
  /// Watches the descriptor while a reply is stuck.
  var watch: DescriptorWatch?
  /// Index into the server's exchanges while one is pending, else -1.
  var exchange: Int32 = -1

  // ConnectionList's alone.
  var list: ConnectionList?
  var previous: Unmanaged<Connection>?
  var next: Unmanaged<Connection>?
  var deadline: Int64 = 0

  init(server: HTTPServer, bufferevent: OpaquePointer) {
    self.server = server
    unsafe self.bufferevent = unsafe bufferevent
  }
}

/// Connections with the same timeout, the earliest deadline first: appending keeps the order, so both ends are O(1).
///
/// The links are unretained: a connection leaves its list before the server releases it (`HTTPServer.forget`).
@safe final class ConnectionList {
  let timeout: Int64
  private var head: Unmanaged<Connection>?
  private var tail: Unmanaged<Connection>?

  /// - Parameter timeout: milliseconds that a connection may stay here.
  init(timeout: Int64) { self.timeout = timeout }

  var first: Connection? { unsafe head?.takeUnretainedValue() }

  func append(_ connection: Connection, now: Int64) {
    let link = unsafe Unmanaged.passUnretained(connection)
    connection.list = self
    connection.deadline = now + timeout
    unsafe connection.next = nil
    unsafe connection.previous = unsafe tail
    if let last = unsafe tail {
      unsafe last._withUnsafeGuaranteedRef { unsafe $0.next = link }
    } else {
      unsafe head = link
    }
    unsafe tail = link
  }

  func remove(_ connection: Connection) {
    if let before = unsafe connection.previous {
      unsafe before._withUnsafeGuaranteedRef { unsafe $0.next = unsafe connection.next }
    } else {
      unsafe head = unsafe connection.next
    }
    if let after = unsafe connection.next {
      unsafe after._withUnsafeGuaranteedRef { unsafe $0.previous = unsafe connection.previous }
    } else {
      unsafe tail = unsafe connection.previous
    }
    unsafe connection.previous = nil
    unsafe connection.next = nil
    connection.list = nil
  }

  /// Calls `visit` for each; it may remove the one that it is given.
  func forEach(_ visit: (Connection) -> Void) {
    var link = unsafe head
    while let current = unsafe link?.takeUnretainedValue() {
      unsafe link = unsafe current.next
      visit(current)
    }
  }
}
