// Sets of short texts in flat memory: one run of bytes, one run of references, hash slots for the large sets. Made once,
// then only read. What the texts mean is not known here.

/// A text in a ``TextTable``.
public struct TextRef: Sendable, BitwiseCopyable {
  let start: UInt32
  let count: UInt32

  var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
}

/// A set of texts in a ``TextTable``.
struct TextSet: Sendable, BitwiseCopyable {
  /// The set's references.
  var first: UInt32 = 0
  var count: UInt32 = 0
  /// The first hash slot and their number minus one; no slots for a small set.
  var slots: UInt32 = 0
  var mask: UInt32 = 0

  var isEmpty: Bool { count == 0 }
}

/// The memory of all texts of a ``PolicySet``.
struct TextTable: Sendable {
  private var bytes: [UInt8] = []
  private var refs: [TextRef] = []
  /// A reference's place plus one; zero for an empty slot.
  private var slots: [UInt32] = []

  /// Sets up to this size are compared one by one: cheaper than a hash, and in order.
  private static let smallSet = 8

  /// Adds a text.
  mutating func add(_ text: some Sequence<UInt8>) -> TextRef {
    let start = bytes.count
    bytes += text
    return TextRef(start: UInt32(start), count: UInt32(bytes.count - start))
  }

  /// Adds a set; a text twice counts once.
  mutating func addSet(_ texts: [[UInt8]]) -> TextSet {
    var seen: Set<[UInt8]> = []
    var set = TextSet(first: UInt32(refs.count))
    for text in texts where seen.insert(text).inserted {
      let ref = add(text)
      refs.append(ref)
      set.count += 1
    }
    guard set.count > Self.smallSet else { return set }
    var size = 16
    while size < Int(set.count) * 2 { size *= 2 }
    set.slots = UInt32(slots.count)
    set.mask = UInt32(size - 1)
    slots += [UInt32](repeating: 0, count: size)
    for index in 0..<set.count {
      let place = set.first + index
      var slot = UInt32(truncatingIfNeeded: hash(refs[Int(place)].range)) & set.mask
      while slots[Int(set.slots + slot)] != 0 { slot = (slot + 1) & set.mask }
      slots[Int(set.slots + slot)] = place + 1
    }
    return set
  }

  private func hash(_ range: Range<Int>) -> UInt64 { TextHash.of(bytes.span, range, ignoringCase: false) }

  /// A text's bytes, for those who may allocate.
  func text(_ ref: TextRef) -> ArraySlice<UInt8> { bytes[ref.range] }

  /// A set's texts, for those who may allocate.
  func texts(_ set: TextSet) -> [ArraySlice<UInt8>] {
    (0..<Int(set.count)).map { text(refs[Int(set.first) + $0]) }
  }

  /// Whether `set` holds the bytes of `source` in `range`; with `ignoringCase`, lower-cased (the set's must be so).
  func contains(_ set: TextSet, _ source: Span<UInt8>, _ range: Range<Int>, ignoringCase: Bool = false) -> Bool {
    guard set.count > Self.smallSet else {
      for index in Int(set.first)..<Int(set.first + set.count)
      where equals(refs[index], source, range, ignoringCase: ignoringCase) {
        return true
      }
      return false
    }
    var slot = UInt32(truncatingIfNeeded: TextHash.of(source, range, ignoringCase: ignoringCase)) & set.mask
    while true {
      let entry = slots[Int(set.slots + slot)]
      if entry == 0 { return false }
      if equals(refs[Int(entry - 1)], source, range, ignoringCase: ignoringCase) { return true }
      slot = (slot + 1) & set.mask
    }
  }

  /// Whether a text is the bytes of `source` in `range`.
  @inline(__always)
  func equals(_ ref: TextRef, _ source: Span<UInt8>, _ range: Range<Int>, ignoringCase: Bool = false) -> Bool {
    guard Int(ref.count) == range.count else { return false }
    // Two runs of one length: the loop needs no other check of bounds.
    let text = bytes.span.extracting(ref.range)
    let other = source.extracting(range)
    if ignoringCase {
      for index in text.indices where text[index] != lowercased(other[index]) { return false }
    } else {
      for index in text.indices where text[index] != other[index] { return false }
    }
    return true
  }

  /// A text's byte.
  @inline(__always)
  func byte(_ ref: TextRef, _ index: Int) -> UInt8 { bytes[Int(ref.start) + index] }

  /// Appends a text.
  func append(_ ref: TextRef, to buffer: inout [UInt8]) {
    for index in ref.range { buffer.append(bytes[index]) }
  }
}

/// FNV-1a with a last mix. The texts that are looked up are signed by the issuer, and those that are held are the
/// operator's: nobody gains from collisions, so there is no seed.
enum TextHash {
  static func of(_ source: Span<UInt8>, _ range: Range<Int>, ignoringCase: Bool) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for index in range {
      let byte = source[index]
      hash = (hash ^ UInt64(ignoringCase ? lowercased(byte) : byte)) &* 0x100_0000_01B3
    }
    return hash ^ hash >> 29
  }
}
