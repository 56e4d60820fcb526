// One client's connection as the gate sees it, and the lists that give it deadlines.
//
// Memory: the server holds one retain a connection, from the moment that evhttp asks for a bufferevent until its
// connection closes (`closecb`); links and C contexts are unretained. Some of the objects are kept for later connections
// (`SpareConnections`). All on the loop's thread.

import CEvent
import HTTPSyntax

@safe final class Connection {
  enum State {
    /// Between requests, or new: no byte of a head is here.
    case idle
    /// A part of a head is staged.
    case partial
    /// Whole heads are staged, beyond what one connection gets in a turn of the loop; nothing is read meanwhile.
    case yielding
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
  private(set) var bufferevent: OpaquePointer
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
  /// Bytes thrown away since the write side was shut.
  var swallowed = 0
  /// The gate's own event on the socket; libevent's read nothing.
  var reading: OpaquePointer?
  /// The last read held more than one head: what comes next waits for a turn (`HTTPServer.takeTurn`).
  var isPipelining = false
  /// The client has closed its side.
  var hasEnded = false
  /// Watches the descriptor while a reply is stuck.
  var watch: DescriptorWatch?
  /// Index into the server's exchanges while one is pending, else -1.
  var exchange: Int32 = -1

  // ConnectionList's alone.
  var deadlineLinks = ConnectionLinks()
  var silentLinks = ConnectionLinks()
  var turnLinks = ConnectionLinks()
  var deadline: Int64 = 0

  /// The list whose timeout runs.
  var list: ConnectionList? { deadlineLinks.list }

  init(server: HTTPServer, bufferevent: OpaquePointer) {
    self.server = server
    unsafe self.bufferevent = unsafe bufferevent
  }

  /// Becomes a new connection; nothing of the old one, which is gone, may be left.
  fileprivate func begin(_ bufferevent: OpaquePointer) {
    precondition(unsafe state == .closing && evhttpConnection == nil && reading == nil && watch == nil && exchange < 0)
    precondition(list == nil && silentLinks.list == nil && turnLinks.list == nil && staged.isEmpty && unsent.isEmpty)
    unsafe self.bufferevent = unsafe bufferevent
    descriptor = -1
    state = .idle
    closesAfterReply = false
    swallowed = 0
    isPipelining = false
    hasEnded = false
  }
}

/// Objects of connections that are gone, for those to come: a new connection then allocates none.
///
/// A connection that ends may still stand in a queue of this turn, so it is kept apart until the server says that none is
/// left there: taken earlier, the new connection would be closed in place of the old one.
struct SpareConnections {
  private var ready: [Connection] = []
  private var retired: [Connection] = []
  private static let most = 256

  init() {
    ready.reserveCapacity(Self.most)
    retired.reserveCapacity(Self.most)
  }

  /// One for a new connection of `server`.
  mutating func take(_ server: HTTPServer, _ bufferevent: OpaquePointer) -> Connection {
    guard let connection = ready.popLast() else { return unsafe Connection(server: server, bufferevent: bufferevent) }
    unsafe connection.begin(bufferevent)
    return connection
  }

  /// A connection is gone.
  mutating func retire(_ connection: Connection) {
    // What a client sent has no place in memory after it.
    if connection.staged.capacity > 0 { connection.staged = [] }
    if connection.unsent.capacity > 0 { connection.unsent = [] }
    if retired.count + ready.count < Self.most { retired.append(connection) }
  }

  /// No queue holds a connection that is gone.
  mutating func settle() {
    while let connection = retired.popLast() { ready.append(connection) }
  }
}

/// A connection's place in one list.
@safe struct ConnectionLinks {
  var list: ConnectionList?
  var previous: Unmanaged<Connection>?
  var next: Unmanaged<Connection>?
}

/// Connections with the same timeout, the earliest deadline first: appending keeps the order, so both ends are O(1).
///
/// The links are unretained: a connection leaves its lists before the server releases it (`HTTPServer.forget`).
@safe final class ConnectionList {
  /// A connection may stand in one list of each kind.
  enum Kind { case deadline, silent, turn }

  let timeout: Int64
  private let kind: Kind
  private(set) var count = 0
  private var head: Unmanaged<Connection>?
  private var tail: Unmanaged<Connection>?

  /// - Parameter timeout: milliseconds that a connection may stay here.
  init(timeout: Int64, _ kind: Kind = .deadline) {
    self.timeout = timeout
    self.kind = kind
  }

  var first: Connection? { unsafe head?.takeUnretainedValue() }

  /// When the first came, by the clock of the deadlines; `.max` where there is none.
  var firstSince: Int64 { first.map { $0.deadline - timeout } ?? .max }

  func append(_ connection: Connection, now: Int64) {
    connection.deadline = now + timeout
    append(connection)
  }

  /// Appends one whose deadline runs already and is no earlier than the last one's, or one to a list without deadlines.
  func append(_ connection: Connection) {
    let link = unsafe Unmanaged.passUnretained(connection)
    withLinks(of: connection) {
      $0.list = self
      unsafe $0.next = nil
      unsafe $0.previous = unsafe tail
    }
    if let last = unsafe tail {
      unsafe last._withUnsafeGuaranteedRef { withLinks(of: $0) { unsafe $0.next = link } }
    } else {
      unsafe head = link
    }
    unsafe tail = link
    count += 1
  }

  /// Takes out one that is in this list.
  func remove(_ connection: Connection) {
    let old = withLinks(of: connection) { links in
      let old = links
      links = ConnectionLinks()
      return old
    }
    if let before = unsafe old.previous {
      unsafe before._withUnsafeGuaranteedRef { withLinks(of: $0) { unsafe $0.next = unsafe old.next } }
    } else {
      unsafe head = unsafe old.next
    }
    if let after = unsafe old.next {
      unsafe after._withUnsafeGuaranteedRef { withLinks(of: $0) { unsafe $0.previous = unsafe old.previous } }
    } else {
      unsafe tail = unsafe old.previous
    }
    count -= 1
  }

  @inline(__always)
  private func withLinks<Result>(of connection: Connection, _ body: (inout ConnectionLinks) -> Result) -> Result {
    switch kind {
    case .deadline: body(&connection.deadlineLinks)
    case .silent: body(&connection.silentLinks)
    case .turn: body(&connection.turnLinks)
    }
  }

  /// Calls `visit` for each; it may remove the one that it is given.
  func forEach(_ visit: (Connection) -> Void) {
    var next = first
    while let current = next {
      next = withLinks(of: current) { unsafe $0.next?.takeUnretainedValue() }
      visit(current)
    }
  }
}
