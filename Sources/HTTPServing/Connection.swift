// One client's connection as the gate sees it, and the lists that give it deadlines.
//
// Memory: the server holds one retain a connection, from the moment that evhttp asks for a bufferevent until its
// connection closes (`closecb`); links and C contexts are unretained. Some of the objects are kept for later connections
// (`SpareConnections`). All on the loop's thread.

import CEvent
import EventLoops
import HTTPSyntax
import POSIX

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
    /// It speaks HTTP/2: `session` knows the rest.
    case framed
    /// The last reply is out and the write side is shut; what comes is thrown away, bounded.
    case lingering
    /// Will be freed in this turn of the loop.
    case closing
  }

  /// Unretained: the server frees its connections before it goes. No `unowned`: that would be counted for each read.
  private let server: Unmanaged<HTTPServer>
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
  /// Memory of `staged` that is counted in `ConnectionBudget.staged`.
  var countedBytes = 0
  /// By the clock of the deadlines: since when a part of a head is staged.
  var partialSince: Int64 = 0
  /// It was one too many, and gets its refusal; it has no place in the bound on connections.
  var isRefused = false
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
  /// Counts the connections of the server; 0 before it is adopted.
  var number: UInt64 = 0
  /// A hash of the peer's address; 0: it has none.
  var peer: UInt32 = 0
  /// Whatever it sends waits for a turn until then, by the clock of the deadlines; 0: it takes none (`takeTurns`).
  var takesTurnsUntil: Int64 = 0

  /// What its time runs for; `Deadlines.move` alone changes it.
  var allowance: Allowance?
  /// By the clock of the deadlines, where it has an allowance.
  var deadline: Int64 = 0

  /// It came to a TLS listener.
  var isSecure = false
  /// Its TLS; nil in clear.
  var secure: SecureChannel?
  /// Its HTTP/2; nil for HTTP/1.
  var session: FramedSession?
  /// A head has been answered on it, so the preface of HTTP/2 can't come any more.
  var hasAsked = false

  // ConnectionList's alone.
  fileprivate var deadlineLinks = ConnectionLinks()
  fileprivate var silentLinks = ConnectionLinks()
  fileprivate var turnLinks = ConnectionLinks()
  fileprivate var partialLinks = ConnectionLinks()

  init(server: HTTPServer, bufferevent: OpaquePointer) {
    unsafe self.server = Unmanaged.passUnretained(server)
    unsafe self.bufferevent = unsafe bufferevent
  }

  /// Lends the server.
  @inline(__always)
  func withServer(_ body: (HTTPServer) -> Void) {
    unsafe server._withUnsafeGuaranteedRef { body($0) }
  }

  /// Becomes a new connection; nothing of the old one, which is gone, may be left.
  fileprivate func begin(_ bufferevent: OpaquePointer) {
    precondition(unsafe state == .closing && evhttpConnection == nil && reading == nil && watch == nil && exchange < 0)
    precondition(secure == nil && session == nil)
    precondition(allowance == nil && !deadlineLinks.isIn && !silentLinks.isIn && !turnLinks.isIn)
    precondition(staged.isEmpty && unsent.isEmpty && countedBytes == 0 && !partialLinks.isIn)
    unsafe self.bufferevent = unsafe bufferevent
    descriptor = -1
    state = .idle
    closesAfterReply = false
    isRefused = false
    swallowed = 0
    hasEnded = false
    number = 0
    peer = 0
    takesTurnsUntil = 0
    isSecure = false
    hasAsked = false
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

/// What a connection is given time for, each with a list of its own: a connection has one at a time, or none.
enum Allowance: UInt8 {
  case head, idle, writing, lingering
  /// Lingering behind the refusal of one connection too many.
  case refused
}

/// A connection's place in one list.
///
/// A plain value that is read and written whole, so that the compiler sees that no two accesses to it ever overlap: a walk
/// along the links then costs no check of exclusivity and no reference count.
@safe struct ConnectionLinks {
  fileprivate(set) var isIn = false
  fileprivate var previous: Unmanaged<Connection>?
  fileprivate var next: Unmanaged<Connection>?
}

/// Which of a connection's links a list goes along; a connection may stand in one list of each kind.
protocol LinkKind {
  static subscript(_ connection: Connection) -> ConnectionLinks { get set }
}

/// The lists of the allowances.
enum DeadlineLinks: LinkKind {
  static subscript(_ connection: Connection) -> ConnectionLinks {
    get { connection.deadlineLinks }
    set { connection.deadlineLinks = newValue }
  }
}

/// New connections that have sent nothing.
enum SilentLinks: LinkKind {
  static subscript(_ connection: Connection) -> ConnectionLinks {
    get { connection.silentLinks }
    set { connection.silentLinks = newValue }
  }
}

/// Connections that wait for their turn.
enum TurnLinks: LinkKind {
  static subscript(_ connection: Connection) -> ConnectionLinks {
    get { connection.turnLinks }
    set { connection.turnLinks = newValue }
  }
}

/// Connections of which a part of a head is staged.
enum PartialLinks: LinkKind {
  static subscript(_ connection: Connection) -> ConnectionLinks {
    get { connection.partialLinks }
    set { connection.partialLinks = newValue }
  }
}

/// Connections in the order in which they came. Appending, and taking out any one, are O(1).
///
/// The links are unretained: a connection leaves its lists before the server releases it (`HTTPServer.forget`).
@safe final class ConnectionList<Kind: LinkKind> {
  private(set) var count = 0
  private var head: Unmanaged<Connection>?
  private var tail: Unmanaged<Connection>?

  var first: Connection? { unsafe head?.takeUnretainedValue() }

  func contains(_ connection: Connection) -> Bool { Kind[connection].isIn }

  func append(_ connection: Connection) {
    let link = unsafe Unmanaged.passUnretained(connection)
    var links = ConnectionLinks()
    links.isIn = true
    unsafe links.previous = unsafe tail
    Kind[connection] = links
    if let last = unsafe tail {
      unsafe last._withUnsafeGuaranteedRef { unsafe Kind[$0].next = link }
    } else {
      unsafe head = link
    }
    unsafe tail = link
    count += 1
  }

  /// Takes out one that is in this list.
  func remove(_ connection: Connection) {
    let old = Kind[connection]
    Kind[connection] = ConnectionLinks()
    if let before = unsafe old.previous {
      unsafe before._withUnsafeGuaranteedRef { unsafe Kind[$0].next = unsafe old.next }
    } else {
      unsafe head = unsafe old.next
    }
    if let after = unsafe old.next {
      unsafe after._withUnsafeGuaranteedRef { unsafe Kind[$0].previous = unsafe old.previous }
    } else {
      unsafe tail = unsafe old.previous
    }
    count -= 1
  }
}
