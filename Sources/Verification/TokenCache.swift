// Verified tokens that need not be verified again, for one event loop. Not thread-safe, no clock, no locks.
// What a reply looks like is the caller's business: here it is a run of bytes. Nothing about HTTP or JSON.
//
// Invariants: a slot of the index leads to an entry that exists; an entry whose key has left or whose time is over is
// never handed out; the bytes held, index and chunks together, stay within the limit.

/// Remembers what to answer to a token that was verified, within a bound of bytes.
///
/// Entries lie in chunks in the order in which they came. When the limit is reached, the whole oldest chunk goes. Memory
/// is taken as entries come, so an idle cache costs next to nothing. One event loop owns it; looking up allocates
/// nothing.
public struct TokenCache: ~Copyable {
  /// Where a remembered reply lies; good until the cache is next changed.
  public struct Hit: Sendable, BitwiseCopyable {
    fileprivate let chunk: Int
    fileprivate let start: Int
    fileprivate let end: Int

    /// The payload's length in bytes.
    public var count: Int { end - start }
  }

  /// What the cache holds and has done.
  public struct Counters: Sendable, Equatable, BitwiseCopyable {
    /// Entries held. Those of keys that left, past their time or remembered anew count until their chunk goes.
    public var entries = 0
    /// Bytes held by index and chunks, a chunk in use counted in full.
    public var bytes = 0
    /// Entries dropped to make room, since the cache was made.
    public var evictions: UInt64 = 0
  }

  private struct Entry: BitwiseCopyable {
    let digest: SHA256Digest
    let validFrom: Double
    let refuseFrom: Double
    let start: UInt32
    let end: UInt32
    let key: KeyMark
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
    var entries: [Entry] = []
    var bytes: [UInt8] = []
    var lastRefusal = 0.0
    /// A chunk that holds nothing has given its memory back.
    var isEmpty: Bool { entries.isEmpty }

    mutating func append(_ payload: Span<UInt8>) {
      for at in payload.indices { bytes.append(payload[at]) }
    }
  }

  private static let largestChunk = 256 * 1024
  private static let smallestLimit = 64 * 1024
  private static let smallestIndex = 64
  private static let chunksALook = 1024

  /// The bound in bytes that `init` was given.
  public let limit: Int
  /// Changes with ``removeAll()``: whoever starts a verification keeps it, and hands it over when inserting.
  public private(set) var epoch: UInt64 = 0
  /// What the cache holds and has done.
  public private(set) var counters = Counters()

  private let chunkBytes: Int
  private let chunkCount: Int
  /// A chunk's bytes are shared out in advance, so that it never grows: a quarter for entries, the rest for payloads.
  private var entriesAChunk: Int { chunkBytes / 4 / MemoryLayout<Entry>.stride }
  private var payloadBytesAChunk: Int { chunkBytes - chunkBytes / 4 }
  private let slotLimit: Int
  private let seed: (UInt64, UInt64)
  private var chunks: [Chunk] = []
  private var current = 0
  /// The chunk that `releaseExpired` looks at next.
  private var sweep = 0
  private var index = TokenIndex()
  private var keys: [KnownKey] = []

  /// A cache that holds at most `limit` bytes; below 64 KiB it remembers nothing.
  ///
  /// `seed` decides where digests lie in the index. The default is fresh randomness, so that nobody can choose tokens
  /// that all fall into one place; a test may fix it.
  public init(limit: Int, seed: (UInt64, UInt64)? = nil) {
    self.limit = limit
    self.seed = seed ?? (UInt64.random(in: 0...UInt64.max), UInt64.random(in: 0...UInt64.max))
    guard limit >= Self.smallestLimit else {
      (chunkBytes, chunkCount, slotLimit) = (0, 0, 0)
      return
    }
    // An eighth is for the index: an entry costs 8 to 16 bytes there and hardly less than 200 in its chunk.
    var slots = Self.smallestIndex
    while slots * 2 * TokenIndex.slotBytes <= limit / 8 { slots *= 2 }
    slotLimit = slots
    chunkBytes = min(Self.largestChunk, (limit - slots * TokenIndex.slotBytes) / 4)
    chunkCount = min((limit - slots * TokenIndex.slotBytes) / chunkBytes, TokenIndex.maximumChunks)
  }

  /// The reply for the token of `digest`, if it was remembered and may still be served at `now` (seconds since 1970).
  ///
  /// Nil at `now >= refuseFrom`, before `validFrom`, and once the key that verified the token has left.
  public func lookup(_ digest: SHA256Digest, now: Double) -> Hit? {
    guard let place = find(digest) else { return nil }
    let entry = chunks[place.chunk].entries[place.entry]
    // Written so that a time that is no number serves nothing.
    guard now < entry.refuseFrom, now >= entry.validFrom, isKnown(entry.key) else { return nil }
    return Hit(chunk: place.chunk, start: Int(entry.start), end: Int(entry.end))
  }

  /// Lends the bytes of a hit for the length of `body`. `hit` must come from the last lookup with no change since.
  public func withPayload<Result, Failure: Error>(
    of hit: Hit, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = chunks[hit.chunk].bytes
    return try body(bytes.span.extracting(hit.start..<hit.end))
  }

  /// Remembers `payload` for the token of `digest`, which `key` verified. Returns whether it did.
  ///
  /// Refused: an `epoch` other than the cache's (settings changed while the token was being verified), a key that is
  /// not of the sets that ``keep(only:)`` was told last (it left in the meantime), times that leave nothing to serve,
  /// a payload that would not fit into a chunk. A token that is remembered already is remembered anew. May allocate.
  @discardableResult
  public mutating func insert(
    _ digest: SHA256Digest, epoch: UInt64, key: VerificationKey, validFrom: Double, refuseFrom: Double,
    payload: Span<UInt8>
  ) -> Bool {
    guard epoch == self.epoch, let mark = mark(of: key), validFrom < refuseFrom else { return false }
    guard payload.count <= payloadBytesAChunk, entriesAChunk > 0 else { return false }
    makeRoom(for: payload.count)
    let start = chunks[current].bytes.count
    chunks[current].append(payload)
    chunks[current].entries.append(
      Entry(
        digest: digest, validFrom: validFrom, refuseFrom: refuseFrom, start: UInt32(start),
        end: UInt32(start + payload.count), key: mark))
    chunks[current].lastRefusal = max(chunks[current].lastRefusal, refuseFrom)
    let location = TokenIndex.Location(chunk: current, entry: chunks[current].entries.count - 1)
    if let old = find(digest) {
      index.replace(hash(digest), from: old, to: location)
    } else {
      index.insert(hash(digest), at: location)
    }
    counters.entries += 1
    return true
  }

  /// Tells the cache which keys are in force: those of `sets`, one set an issuer.
  ///
  /// Entries of keys that are no longer among them are gone at once and for good, also if the key comes back. Entries
  /// of keys that stay remain. Before the first call nothing can be remembered. Takes time by the number of keys alone.
  public mutating func keep(only sets: [KeySet]) {
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

  /// Forgets all tokens, as after a change of a setting that verdicts rest on, and gives the memory back. Verifications
  /// that began before can't be inserted any more.
  public mutating func removeAll() {
    epoch += 1
    removeChunksAndIndex()
  }

  private mutating func removeChunksAndIndex() {
    chunks = []
    current = 0
    sweep = 0
    index = TokenIndex()
    counters.entries = 0
    counters.bytes = 0
  }

  /// Gives back the memory of the next chunk in which no entry may be served any more at `now`; once none is left at all,
  /// that of the index as well. For a timer: one call clears one chunk (some 1,000 entries) at most, and looks at 1,024.
  ///
  /// Returns whether there are chunks that this round has not looked at yet: then call again soon, else after a while.
  public mutating func releaseExpired(now: Double) -> Bool {
    let end = min(sweep + Self.chunksALook, chunks.count)
    while sweep < end {
      let chunk = sweep
      sweep += 1
      if !chunks[chunk].isEmpty, chunks[chunk].lastRefusal <= now {
        clear(chunk)
        break
      }
    }
    guard sweep >= chunks.count else { return true }
    sweep = 0
    if counters.entries == 0 { removeChunksAndIndex() }
    return false
  }

  // MARK: - Finding

  /// Where a digest lies in the index; not private, so that a test sees how digests spread.
  func hash(_ digest: SHA256Digest) -> UInt32 {
    // A multiplication by a secret and folding: without the secret nobody can tell which digests share a place.
    let product = (digest.words.0 ^ seed.0).multipliedFullWidth(by: digest.words.1 ^ seed.1)
    let folded = product.high ^ product.low
    return UInt32(truncatingIfNeeded: folded ^ folded >> 32)
  }

  private func find(_ digest: SHA256Digest) -> TokenIndex.Location? {
    var probe = index.probe(hash(digest))
    while let location = index.next(&probe) {
      if chunks[location.chunk].entries[location.entry].digest == digest { return location }
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

  // MARK: - Room

  /// Leaves `current` at a chunk that takes one more entry and `count` more bytes, and the index with a free slot.
  private mutating func makeRoom(for count: Int) {
    if chunks.isEmpty || chunks[current].bytes.count + count > payloadBytesAChunk
      || chunks[current].entries.count == entriesAChunk
    {
      advance()
    }
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
      // Reserved whole, so that it never moves; the system provides pages as they are first written.
      chunks[current].bytes.reserveCapacity(payloadBytesAChunk)
      chunks[current].entries.reserveCapacity(entriesAChunk)
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
    counters.evictions += UInt64(chunks[current].entries.count)
    clear(current)
  }

  private mutating func clear(_ chunk: Int) {
    guard !chunks[chunk].isEmpty else { return }
    for entry in chunks[chunk].entries.indices {
      // An entry that was remembered anew elsewhere is in its chunk still, but the index no longer leads to it.
      index.remove(
        hash(chunks[chunk].entries[entry].digest), at: TokenIndex.Location(chunk: chunk, entry: entry))
    }
    counters.entries -= chunks[chunk].entries.count
    counters.bytes -= chunkBytes
    chunks[chunk] = Chunk()
  }
}
