// The keys of one issuer at one time: an immutable snapshot to look keys up in. Where it comes from, how old it may get
// and who replaces it is not decided here.

import Token

/// The usable keys of an issuer. Immutable; any thread may use it.
public final class KeySet: Sendable {
  /// The issuer, as in `iss`.
  public let issuer: [UInt8]
  /// The keys, no two with the same `kid`; never empty. One without `kid` is alone.
  public let keys: [VerificationKey]
  /// Counts the sets of this issuer; whoever fetches them hands the numbers out.
  public let generation: UInt64

  /// The keys of a JWK set that was read. A key that is in `old` already stays the same object, with what it has
  /// counted.
  public init(_ set: JWKSet, after old: KeySet? = nil, generation: UInt64) {
    issuer = set.issuer
    keys = set.keys.map { key in old?.keys.first { $0.isSame(as: key) } ?? key }
    self.generation = generation
  }

  /// How many keys there are, 1 to 64.
  public var count: Int { keys.count }

  /// Where in ``keys`` the key with exactly the bytes of `kid` is; nil when there is none. Allocates nothing.
  ///
  /// A set whose only key has no `kid` has nothing to tell keys apart by: that key is meant by every `kid`.
  ///
  /// At most 64 comparisons, most of them of a length or a first byte: no hash that a chosen `kid` could slow down.
  public func index(of kid: Span<UInt8>) -> Int? {
    namedIndex(of: kid) ?? (isNameless ? 0 : nil)
  }

  /// As ``index(of:)``, of keys that have a `kid` alone.
  func namedIndex(of kid: Span<UInt8>) -> Int? {
    guard !isNameless else { return nil }
    for index in keys.indices where Self.equal(keys[index].kid, kid) { return index }
    return nil
  }

  /// Where in ``keys`` the only key for one of `algorithms` is, for a token without `kid`; nil when there is none, or
  /// more than one: then nobody could say which of them is meant. Allocates nothing.
  public func index(ofOnlyKeyFor algorithms: AlgorithmSet) -> Int? {
    var found: Int?
    for index in keys.indices where algorithms.contains(keys[index].algorithm) {
      guard found == nil else { return nil }
      found = index
    }
    return found
  }

  /// Whether the only key has no `kid`.
  private var isNameless: Bool { keys[0].kid.isEmpty }

  /// The key with exactly the bytes of `kid`; nil when there is none. Allocates nothing.
  public func key(_ kid: Span<UInt8>) -> VerificationKey? {
    index(of: kid).map { keys[$0] }
  }

  /// Whether the same key, in the same role, is in this set.
  public func holds(_ key: VerificationKey) -> Bool {
    keys.contains { $0.isSame(as: key) }
  }

  private static func equal(_ left: [UInt8], _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for index in left.indices where left[index] != right[index] { return false }
    return true
  }
}
