// What earlier verifications say of whoever asks for another one: kept a connection and a peer address, bounded, and
// forgotten within a minute. It orders the queue (FairQueue.swift) and decides nothing about a token. Pure: time is a
// parameter.

/// Who asks for a verification: two small numbers that mean nothing here.
///
/// Whoever carries several requests over one connection gives each the connection's numbers: they share its turn.
public struct Requester: Equatable, Sendable, BitwiseCopyable {
  /// Names the connection; never used for another one by the same loop.
  public let connection: UInt64
  /// A hash of the peer's address without its port; 0: not known, as on a `unix:` socket.
  public let peer: UInt32

  public init(connection: UInt64, peer: UInt32) {
    self.connection = connection
    self.peer = peer
  }
}

/// The place in the queue that a requester has earned; the lower raw value goes first.
public enum Standing: Int, CaseIterable, Comparable, Sendable {
  /// Its connection has had more good signatures than bad ones lately.
  case proven
  /// Nothing is known of its connection, and nothing bad of its peer.
  case unknown
  /// Nothing is known of its connection, and its peer sends as many bad signatures as good ones, or more.
  case suspect
  /// Its connection has had as many bad signatures as good ones lately, or more.
  case failing

  public static func < (left: Standing, right: Standing) -> Bool { left.rawValue < right.rawValue }
}

/// The outcomes of one event loop's verifications by connection and by peer. Takes 144 KiB, allocates nothing later.
///
/// A count is halved every ten seconds, so a bad signature is held against a connection for less than a minute and a
/// half even if 255 of them came. A connection that carries many clients' requests (a proxy's) is judged by its
/// majority: one forgery among many good tokens does not put it behind.
public struct Standings: ~Copyable {
  private struct Record: BitwiseCopyable {
    var name: UInt64 = 0
    /// The ten seconds that the counts were last halved in.
    var period: UInt32 = 0
    var good: UInt8 = 0
    var bad: UInt8 = 0
  }

  /// Records that may hold one name, side by side; the one that was touched longest ago makes room.
  private static let ways = 4
  private static let secondsAPeriod = 10

  private var connections = [Record](repeating: Record(), count: 8192)
  private var peers = [Record](repeating: Record(), count: 1024)

  public init() {}

  /// How a requester stands at `now`, whole seconds of a clock that never steps.
  public func standing(of requester: Requester, now: Int) -> Standing {
    let period = Self.period(now)
    if let record = Self.find(requester.connection, in: connections) {
      let (good, bad) = Self.counts(record, period)
      if bad > 0, bad >= good { return .failing }
      if good > 0 { return .proven }
    }
    guard requester.peer != 0, let record = Self.find(UInt64(requester.peer), in: peers) else { return .unknown }
    let (good, bad) = Self.counts(record, period)
    return bad > 0 && bad >= good ? .suspect : .unknown
  }

  /// A signature that `requester` sent was verified.
  public mutating func note(_ requester: Requester, isGenuine: Bool, now: Int) {
    let period = Self.period(now)
    Self.note(requester.connection, isGenuine, period, in: &connections)
    if requester.peer != 0 { Self.note(UInt64(requester.peer), isGenuine, period, in: &peers) }
  }

  private static func period(_ now: Int) -> UInt32 { UInt32(truncatingIfNeeded: now / secondsAPeriod) &+ 1 }

  /// The counts of a record as they have faded.
  private static func counts(_ record: Record, _ period: UInt32) -> (good: UInt8, bad: UInt8) {
    let age = period &- record.period
    return age < 8 ? (record.good >> age, record.bad >> age) : (0, 0)
  }

  /// The first of the `ways` places of a name. Names are counted up or are hashes already; the multiplication spreads both.
  private static func first(_ name: UInt64, among count: Int) -> Int {
    let sets = count / ways
    return Int(truncatingIfNeeded: (name &* 0x9E37_79B9_7F4A_7C15) >> 40) & (sets - 1) &* ways
  }

  private static func find(_ name: UInt64, in records: [Record]) -> Record? {
    let first = first(name, among: records.count)
    for place in first..<first + ways where records[place].name == name && records[place].period != 0 {
      return records[place]
    }
    return nil
  }

  private static func note(_ name: UInt64, _ isGenuine: Bool, _ period: UInt32, in records: inout [Record]) {
    let first = first(name, among: records.count)
    var oldest = first
    for place in first..<first + ways {
      if records[place].name == name, records[place].period != 0 {
        oldest = place
        break
      }
      if records[place].period < records[oldest].period { oldest = place }
    }
    var record = records[oldest]
    if record.name == name, record.period != 0 {
      (record.good, record.bad) = counts(record, period)
    } else {
      record = Record(name: name)
    }
    record.period = period
    if isGenuine {
      if record.good < .max { record.good += 1 }
    } else if record.bad < .max {
      record.bad += 1
    }
    records[oldest] = record
  }
}
