// The keys of one issuer at one time: an immutable snapshot to look keys up in. Where it comes from, how old it may get
// and who replaces it is not decided here.

import Token

/// The usable keys of an issuer. Immutable; any thread may use it.
public final class KeySet: Sendable {
  /// The issuer, as in `iss`.
  public let issuer: [UInt8]
  /// The keys, no two with the same `kid`; never empty.
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
  /// At most 64 comparisons, most of them of a length or a first byte: no hash that a chosen `kid` could slow down.
  public func index(of kid: Span<UInt8>) -> Int? {
    for index in keys.indices where Self.equal(keys[index].kid, kid) { return index }
    return nil
  }

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
