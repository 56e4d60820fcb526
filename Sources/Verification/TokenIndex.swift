// The token cache's hash index: open addressing with linear probing, eight bytes a slot. It knows hashes and places, not
// tokens: whether a place holds what was looked for is the cache's to say (TokenCache.swift).
//
// Invariant: walking from a hash's home slot to the next empty slot meets every place that was inserted under that
// hash. Removal moves later slots back instead of leaving marks, so the walks do not lengthen with age.

struct TokenIndex {
  /// A place in the cache's memory, in units of eight bytes: below 2^32 - 1, which is 32 GiB.
  typealias Place = UInt32

  /// A walk over the places of one hash.
  struct Probe: BitwiseCopyable {
    fileprivate let hash: UInt32
    fileprivate var slot: Int
    fileprivate var left: Int
  }

  static let slotBytes = MemoryLayout<UInt64>.stride

  /// High half: the hash. Low half: the place plus one, zero in an empty slot.
  private var slots: [UInt64] = []
  private(set) var count = 0

  var slotCount: Int { slots.count }
  var bytes: Int { slots.count * Self.slotBytes }

  /// Whether one more place may be inserted: never more than 7 of 8 slots are taken.
  var hasRoom: Bool { (count + 1) * 8 <= slots.count * 7 }

  func probe(_ hash: UInt32) -> Probe {
    Probe(hash: hash, slot: slots.isEmpty ? 0 : home(hash), left: slots.count)
  }

  /// The next place under the probe's hash, or nil when there is no more.
  func next(_ probe: inout Probe) -> Place? {
    while probe.left > 0 {
      let slot = slots[probe.slot]
      guard slot != 0 else { return nil }
      probe.left -= 1
      probe.slot = (probe.slot + 1) & (slots.count - 1)
      if UInt32(slot >> 32) == probe.hash { return Self.place(slot) }
    }
    return nil
  }

  /// Adds a place. There must be room.
  mutating func insert(_ hash: UInt32, at place: Place) {
    precondition(hasRoom, "a full index would make every walk endless")
    put(Self.slot(hash, place))
    count += 1
  }

  /// Lets a hash's place lead elsewhere.
  mutating func replace(_ hash: UInt32, from old: Place, to new: Place) {
    guard let found = slot(of: Self.slot(hash, old)) else { return }
    slots[found] = Self.slot(hash, new)
  }

  /// Takes out a place; nothing happens where it is not in.
  mutating func remove(_ hash: UInt32, at place: Place) {
    guard var hole = slot(of: Self.slot(hash, place)) else { return }
    let mask = slots.count - 1
    var next = (hole + 1) & mask
    while slots[next] != 0 {
      // A slot may move back into the hole if the hole lies on the way from its home to where it is.
      let distance = (next &- home(UInt32(slots[next] >> 32))) & mask
      if distance >= (next &- hole) & mask {
        slots[hole] = slots[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    slots[hole] = 0
    count -= 1
  }

  /// Spreads the places over more slots: a power of two. The hashes are in the slots, so no entry is read.
  mutating func grow(to slotCount: Int) {
    let old = slots
    slots = [UInt64](repeating: 0, count: slotCount)
    for slot in old where slot != 0 { put(slot) }
  }

  private mutating func put(_ slot: UInt64) {
    var at = home(UInt32(slot >> 32))
    while slots[at] != 0 { at = (at + 1) & (slots.count - 1) }
    slots[at] = slot
  }

  private func slot(of value: UInt64) -> Int? {
    guard !slots.isEmpty else { return nil }
    var at = home(UInt32(value >> 32))
    for _ in slots.indices {
      if slots[at] == value { return at }
      if slots[at] == 0 { return nil }
      at = (at + 1) & (slots.count - 1)
    }
    return nil
  }

  private func home(_ hash: UInt32) -> Int { Int(hash) & (slots.count - 1) }

  private static func slot(_ hash: UInt32, _ place: Place) -> UInt64 { UInt64(hash) << 32 | UInt64(place) + 1 }

  private static func place(_ slot: UInt64) -> Place { Place(truncatingIfNeeded: slot) &- 1 }
}
