// What one HTTP/2 connection may cost: numbers only, each with the attack that it bounds. HTTP2Connection enforces them.

import HTTPSyntax

/// The bounds of one connection. All are enforced before memory or work grows with the input.
public struct HTTP2Limits: Equatable, Sendable {
  /// The sizes of a head, the same as over HTTP/1. `maxHeadBytes` bounds the sum of RFC 9113, section 6.5.2, and is told to
  /// the client as SETTINGS_MAX_HEADER_LIST_SIZE.
  public var head: HeadLimits
  /// Streams that are open at once (RFC 9113, section 5.1.2). More are refused.
  public var streams: UInt32 = 256
  /// Requests of the connection that wait for a verification: counted until it ends, not until the stream is reset, or a
  /// client could open, reset and open again, and the pool would work for nobody.
  public var waiting = 64
  /// Heads of one connection that are answered in one turn of the loop, as for pipelining. The caller counts.
  public var headsATurn = 16
  /// Resets of streams that were not answered yet: at once, and a second (rapid reset, CVE-2023-44487).
  public var resetsReceived = TokenBucket(burst: 200, perSecond: 33)
  /// Resets that we send because of what the client did: at once, and a second (made-you-reset, CVE-2025-8671). One a second
  /// comes back, so that a proxy's connection does not end for the mistakes that its many users make in a week.
  public var resetsSent = TokenBucket(burst: 100, perSecond: 1)
  /// Streams refused because there were too many, before the client could know the bound.
  public var streamsRefused = TokenBucket(burst: 1024, perSecond: 33)
  /// SETTINGS, PING, PRIORITY, WINDOW_UPDATE, unknown frames, empty DATA that ends nothing and HEADERS that open no
  /// stream, all together: at once, and a second (CVE-2019-9511 to 9518).
  public var controlFrames = TokenBucket(burst: 100, perSecond: 100)
  /// Entries of one SETTINGS frame.
  public var settingsEntries = 32
  /// Acknowledgements that are not sent yet.
  public var unsentAcknowledgements = 100
  /// CONTINUATION frames of one head (CVE-2024-27316).
  public var continuations = 8
  /// Bytes of replies' bodies that wait for the client's flow-control window (zero-window readers).
  public var unsentBodyBytes = 65_536
  /// How long a stream that is answered may go on sending its body, in nanoseconds, until it is reset.
  public var bodyLinger: UInt64 = 2_000_000_000
  /// How many answered streams may go on sending at once.
  public var lingeringBodies = 32
  /// Bytes that the protocol engine may allocate for the connection. At the bound the connection ends.
  public var engineBytes = 262_144

  /// The bounds above with the given sizes of a head.
  public init(head: HeadLimits = HeadLimits()) { self.head = head }
}

/// Why a connection ended by our will; the client is told the code of RFC 9113, section 7.
public enum HTTP2Failure: UInt8, CaseIterable, Equatable, Sendable {
  /// The first bytes were not the preface of RFC 9113, section 3.4.
  case badPreface
  /// A connection error of RFC 9113: the code is in `HTTP2Connection.goAwayCode`.
  case protocolViolation
  /// `HTTP2Limits.resetsReceived`.
  case rapidReset
  /// `HTTP2Limits.resetsSent` or `streamsRefused`.
  case madeYouReset
  /// `HTTP2Limits.controlFrames`, `unsentAcknowledgements`, `settingsEntries` or `continuations`.
  case flood
  /// A field section four times as large as a head may be.
  case headerBomb
  /// `HTTP2Limits.unsentBodyBytes`.
  case unreadReplies
  /// `HTTP2Limits.engineBytes`, or the system has no memory.
  case memory

  /// A stable name for logs and metric labels: `a-z` and `_`.
  public var name: StaticString {
    switch self {
    case .badPreface: "bad_preface"
    case .protocolViolation: "protocol_violation"
    case .rapidReset: "rapid_reset"
    case .madeYouReset: "made_you_reset"
    case .flood: "flood"
    case .headerBomb: "header_bomb"
    case .unreadReplies: "unread_replies"
    case .memory: "memory"
    }
  }
}
