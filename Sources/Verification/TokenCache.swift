// Verified tokens that need not be verified again, for one event loop. Not thread-safe, no clock, no locks.
// What is kept of a token beside its bytes is the caller's business: here it is a run of bytes, who the token names as
// header lines. It is an identity and no verdict: a caller may judge it anew at each hit. Nothing about HTTP or JSON.
//
// Invariants: a slot of the index leads to a record that is live; a hit means that all bytes of audience and token are
// the same; a record whose key has left or whose time is over is never handed out; the bytes held, index and chunks
// together, stay within the limit; the bytes of a record are erased when it goes.

/// Remembers whom a verified token names, within a bound of bytes.
///
/// Records lie in chunks in the order in which they came. When the limit is reached, the whole oldest chunk goes. Memory
/// is taken as records come, so an idle cache costs next to nothing. One event loop owns it; looking up allocates
/// nothing.
public struct TokenCache: ~Copyable {
  /// Where what is kept of a token lies; good until the cache is next changed.
  public struct Hit: Sendable, BitwiseCopyable {
    fileprivate let start: Int
    fileprivate let end: Int

    /// The payload's length in bytes.
    public var count: Int { end - start }
  }

  /// What the cache holds and has done.
  public struct Counters: Sendable, Equatable, BitwiseCopyable {
    /// Tokens held. Those of keys that left and those past their time count until they are swept (`releaseExpired`).
    public var entries = 0
    /// Bytes held by index and chunks, a chunk in use counted in full.
    public var bytes = 0
    /// Tokens dropped to make room, since the cache was made.
    public var evictions: UInt64 = 0
  }

  /// What stands before a token's bytes, which the audience's and the payload's follow. All start at multiples of eight.
  private struct Record: BitwiseCopyable {
    let validFrom: Double
    let refuseFrom: Double
    let key: KeyMark
    let hash: UInt32
    let payloadCount: UInt32
    let tokenCount: UInt16
    let audienceCount: UInt16
    /// 0 once the record is erased: its bytes are zeros, and the index leads elsewhere.
    var isLive: UInt32

    static let size = MemoryLayout<Record>.stride
    var audienceOffset: Int { Self.size + Int(tokenCount) }
    var payloadOffset: Int { audienceOffset + Int(audienceCount) }
    var end: Int { payloadOffset + Int(payloadCount) }
    /// All of its bytes, with those that round it up.
    var stride: Int { TokenCache.roundedUp(end) }
  }

  /// Names a key of `keys`: its place there and how often the place had been given away before.
  private struct KeyMark: Equatable, BitwiseCopyable {
    let place: UInt32
    let turn: UInt32
  }

  private struct KnownKey {
    var key: VerificationKey?
    var turn: UInt32
  }

  private struct Chunk {
    /// Bytes that hold records.
    var used = 0
    /// Live records.
    var entries = 0
    /// The first time at which one of them is over.
    var firstRefusal = Double.infinity
    /// Which change of keys it was last swept for.
    var keysTurn = 0
    /// A chunk that holds nothing has given its memory back.
    var isEmpty: Bool { used == 0 }
  }

  private static let largestChunk = 256 * 1024
  private static let smallestIndex = 64
  private static let chunksALook = 1024

  /// The bound in bytes that `init` was given.
  public let limit: Int
  /// What the cache holds and has done.
  public private(set) var counters = Counters()

  let tokenHash: TokenHash
  private let chunkBytes: Int
  private let chunkCount: Int
  private var memory: CacheMemory
  private let slotLimit: Int
  private var chunks: [Chunk] = []
  private var current = 0
  /// The chunk that `releaseExpired` looks at next.
  private var sweep = 0
  private var index = TokenIndex()
  private var keys: [KnownKey] = []
  /// Counts the changes of keys.
  private var keysTurn = 0

  /// The least bound with which anything is remembered, in bytes.
  public static let smallestLimit = 64 * 1024

  /// A cache that holds at most `limit` bytes, those of the tokens included; below `smallestLimit` it remembers nothing.
  ///
  /// `hash` decides where tokens lie in the index: each cache has a seed of its own, a test may fix it.
  public init(limit: Int, hash: TokenHash = TokenHash()) {
    self.limit = limit
    tokenHash = hash
    guard limit >= Self.smallestLimit else {
      (chunkBytes, chunkCount, slotLimit) = (0, 0, 0)
      memory = CacheMemory(count: 0)
      return
    }
    // A sixteenth is for the index: a token costs 8 to 16 bytes there and hardly less than 500 in its chunk.
    var slots = Self.smallestIndex
    while slots * 2 * TokenIndex.slotBytes <= limit / 16 { slots *= 2 }
    slotLimit = slots
    let left = limit - slots * TokenIndex.slotBytes
    chunkBytes = min(Self.largestChunk, left / 4 / 4096 * 4096)
    chunkCount = left / chunkBytes
    memory = CacheMemory(count: chunkBytes * chunkCount)
  }

  /// What is kept of `token`, if it was remembered for `audience` and may still be served at `now` (seconds since 1970).
  ///
  /// Nil at `now >= refuseFrom`, before `validFrom`, and once the key that verified the token has left. Costs one
  /// comparison of its bytes, whatever its length.
  public func lookup(audience: Span<UInt8>, token: Span<UInt8>, now: Double) -> Hit? {
    guard let start = find(place(of: audience, token), audience, token) else { return nil }
    let record = memory.load(Record.self, at: start)
    // Written so that a time that is no number serves nothing.
    guard now < record.refuseFrom, now >= record.validFrom, isKnown(record.key) else { return nil }
    return Hit(start: start + record.payloadOffset, end: start + record.end)
  }

  /// Lends the bytes of a hit for the length of `body`. `hit` must come from the last lookup with no change since.
  public func withPayload<Result, Failure: Error>(
    of hit: Hit, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try memory.withBytes(hit.start..<hit.end, body)
  }

  /// Remembers `payload` for `token`, shown for `audience`, which `key` verified. Returns whether it did.
  ///
  /// Refused: a key that is not of the sets that ``keep(only:)`` was told last (it left in the meantime), times that leave
  /// nothing to serve, what would not fit into a chunk. A token that is remembered already is remembered anew. May allocate.
  @discardableResult
  public mutating func insert(
    audience: Span<UInt8>, token: Span<UInt8>, key: VerificationKey, validFrom: Double, refuseFrom: Double,
    payload: Span<UInt8>
  ) -> Bool {
    guard let mark = mark(of: key), validFrom < refuseFrom else { return false }
    guard let tokenCount = UInt16(exactly: token.count), let audienceCount = UInt16(exactly: audience.count),
      payload.count <= chunkBytes
    else { return false }
    let record = Record(
      validFrom: validFrom, refuseFrom: refuseFrom, key: mark, hash: place(of: audience, token),
      payloadCount: UInt32(payload.count), tokenCount: tokenCount, audienceCount: audienceCount, isLive: 1)
    guard record.stride <= chunkBytes else { return false }
    makeRoom(for: record.stride)
    let start = current * chunkBytes + chunks[current].used
    memory.store(record, at: start)
    memory.store(token, at: start + Record.size)
    memory.store(audience, at: start + record.audienceOffset)
    memory.store(payload, at: start + record.payloadOffset)
    if let old = find(record.hash, audience, token) { forget(old) }
    index.insert(record.hash, at: TokenIndex.Place(start / 8))
    chunks[current].used += record.stride
    chunks[current].entries += 1
    chunks[current].firstRefusal = min(chunks[current].firstRefusal, refuseFrom)
    counters.entries += 1
    return true
  }

  /// Tells the cache which keys are in force: those of `sets`, one set an issuer.
  ///
  /// Tokens of keys that are no longer among them are gone at once and for good, also if the key comes back; their bytes
  /// are erased by the next sweep. Tokens of keys that stay remain. Before the first call nothing can be remembered.
  /// Takes time by the number of keys alone.
  public mutating func keep(only sets: [KeySet]) {
    keysTurn += 1
    for place in keys.indices {
      guard let known = keys[place].key else { continue }
      if !sets.contains(where: { $0.holds(known) }) {
        keys[place].key = nil
        // Entries carry the turn of their time, so they lose their key here. 2^32 turns of one place do not happen.
        keys[place].turn &+= 1
      }
    }
    for set in sets {
      for key in set.keys where mark(of: key) == nil {
        if let free = keys.firstIndex(where: { $0.key == nil }) {
          keys[free].key = key
        } else {
          keys.append(KnownKey(key: key, turn: 0))
        }
      }
    }
  }

  /// Forgets all tokens, as after a change of a setting that they were judged by, and gives the memory back. Whoever
  /// inserts one later has judged it by the settings of then.
  public mutating func removeAll() {
    for chunk in chunks.indices { clear(chunk, givesBack: true) }
    chunks = []
    current = 0
    sweep = 0
    index = TokenIndex()
    counters.entries = 0
    counters.bytes = 0
  }

  /// Erases what may not be served any more at `now` in the next chunk that holds such tokens, and gives the memory of the
  /// chunk back when nothing else is left there; once nothing is left at all, that of the index as well. For a timer: one
  /// call sweeps one chunk (some 200 tokens), and looks at 1,024.
  ///
  /// Returns whether there are chunks that this round has not looked at yet: then call again soon, else after a while.
  public mutating func releaseExpired(now: Double) -> Bool {
    let end = min(sweep + Self.chunksALook, chunks.count)
    while sweep < end {
      let chunk = sweep
      sweep += 1
      let isDue = now >= chunks[chunk].firstRefusal || chunks[chunk].keysTurn != keysTurn
      if !chunks[chunk].isEmpty, isDue {
        sweepOut(chunk, now)
        break
      }
    }
    guard sweep >= chunks.count else { return true }
    sweep = 0
    if counters.entries == 0 { removeAll() }
    return false
  }

  private mutating func sweepOut(_ chunk: Int, _ now: Double) {
    var firstRefusal = Double.infinity
    var at = chunk * chunkBytes
    let end = at + chunks[chunk].used
    while at < end {
      let record = memory.load(Record.self, at: at)
      if record.isLive != 0 {
        if now >= record.refuseFrom || !isKnown(record.key) {
          forget(at)
        } else {
          firstRefusal = min(firstRefusal, record.refuseFrom)
        }
      }
      at += record.stride
    }
    chunks[chunk].firstRefusal = firstRefusal
    chunks[chunk].keysTurn = keysTurn
    if chunks[chunk].entries == 0 { clear(chunk, givesBack: true) }
  }

  // MARK: - Finding

  /// Where audience and token lie in the index; not private, so that a test sees how they spread.
  func place(of audience: Span<UInt8>, _ token: Span<UInt8>) -> UInt32 {
    let hash = tokenHash.ofEnd(audience: audience, token: token)
    return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
  }

  /// The offset of a token's record. All bytes are compared: what was remembered vouches for no other token.
  private func find(_ hash: UInt32, _ audience: Span<UInt8>, _ token: Span<UInt8>) -> Int? {
    var probe = index.probe(hash)
    while let place = index.next(&probe) {
      let start = Int(place) * 8
      let record = memory.load(Record.self, at: start)
      if Int(record.tokenCount) == token.count, Int(record.audienceCount) == audience.count,
        memory.holds(token, at: start + Record.size), memory.holds(audience, at: start + record.audienceOffset)
      {
        return start
      }
    }
    return nil
  }

  private func isKnown(_ mark: KeyMark) -> Bool {
    // A place whose key left has had its turn counted up.
    keys[Int(mark.place)].turn == mark.turn
  }

  private func mark(of key: VerificationKey) -> KeyMark? {
    for place in keys.indices {
      if let known = keys[place].key, known.isSame(as: key) {
        return KeyMark(place: UInt32(place), turn: keys[place].turn)
      }
    }
    return nil
  }

  /// Whether `bytes` lie anywhere in the memory. For tests: it looks at all of it.
  func holdsAnywhere(_ bytes: [UInt8]) -> Bool {
    memory.count >= bytes.count && (0...memory.count - bytes.count).contains { memory.holds(bytes.span, at: $0) }
  }

  // MARK: - Room

  fileprivate static func roundedUp(_ count: Int) -> Int { (count + 7) / 8 * 8 }

  /// Leaves `current` at a chunk that takes one more record of `count` bytes, and the index with a free slot.
  private mutating func makeRoom(for count: Int) {
    if chunks.isEmpty || chunks[current].used + count > chunkBytes { advance() }
    while !index.hasRoom {
      if index.slotCount < slotLimit {
        let before = index.bytes
        // Old and new index exist together for a moment; both fit into the share of the index and one chunk.
        index.grow(to: index.slotCount == 0 ? Self.smallestIndex : index.slotCount * 2)
        counters.bytes += index.bytes - before
      } else {
        advance()
      }
    }
    if chunks[current].isEmpty {
      chunks[current].keysTurn = keysTurn
      counters.bytes += chunkBytes
    }
  }

  /// Makes the next chunk in turn the current one, emptied: a new one as long as there may be more, else the oldest.
  private mutating func advance() {
    if chunks.count < chunkCount && current == chunks.count - 1 || chunks.isEmpty {
      chunks.append(Chunk())
      current = chunks.count - 1
      return
    }
    current = (current + 1) % chunks.count
    counters.evictions += UInt64(chunks[current].entries)
    clear(current, givesBack: false)
  }

  private mutating func clear(_ chunk: Int, givesBack: Bool) {
    guard !chunks[chunk].isEmpty else { return }
    let start = chunk * chunkBytes
    let end = start + chunks[chunk].used
    var at = start
    while at < end {
      let record = memory.load(Record.self, at: at)
      if record.isLive != 0 { index.remove(record.hash, at: TokenIndex.Place(at / 8)) }
      at += record.stride
    }
    memory.erase(start..<end)
    if givesBack { memory.giveBack(start..<start + chunkBytes) }
    counters.entries -= chunks[chunk].entries
    counters.bytes -= chunkBytes
    chunks[chunk] = Chunk()
  }

  /// Erases one record. Its place stays taken until its chunk goes.
  private mutating func forget(_ start: Int) {
    var record = memory.load(Record.self, at: start)
    index.remove(record.hash, at: TokenIndex.Place(start / 8))
    memory.erase(start + Record.size..<start + record.end)
    record.isLive = 0
    memory.store(record, at: start)
    chunks[start / chunkBytes].entries -= 1
    counters.entries -= 1
  }
}
