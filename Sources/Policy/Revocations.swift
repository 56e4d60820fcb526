// The revocation list: entries → an immutable table that is asked on each request. Reading the file is elsewhere.

/// What an entry names.
public enum RevocationKey: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case email, subject, serviceToken, nonce, tokenDigest

  /// The key in the file.
  public var name: String {
    switch self {
    case .email: "email"
    case .subject: "subject"
    case .serviceToken: "service_token"
    case .nonce: "nonce"
    case .tokenDigest: "token_sha256"
    }
  }
}

/// One entry of the list.
public struct Revocation: Sendable, Equatable {
  public let key: RevocationKey
  /// What the token says: the Client ID of a service token, 32 bytes of a digest.
  public let value: [UInt8]
  /// The issuer's place in the definitions' list; nil: any.
  public let issuer: Int?
  /// Seconds since 1970: tokens with an `iat` at or past it are not meant. Nil: all are.
  public let issuedBefore: Double?
  /// Seconds since 1970 from which the entry is void. Nil: never.
  public let until: Double?

  public init(
    _ key: RevocationKey, _ value: [UInt8], issuer: Int? = nil, issuedBefore: Double? = nil, until: Double? = nil
  ) {
    self.key = key
    self.value = value
    self.issuer = issuer
    self.issuedBefore = issuedBefore
    self.until = until
  }
}

/// The list as a hash table: a look-up costs the same whatever its length. Immutable, from any thread; looking up
/// allocates nothing.
public final class RevocationTable: Sendable {
  private struct Entry: BitwiseCopyable {
    let text: TextRef
    let issuedBefore: Double
    let until: Double
    /// -1 for any.
    let issuer: Int32
    let key: RevocationKey
  }

  /// High half: the hash. Low half: the entry's place plus one, zero in an empty slot.
  private let slots: [UInt64]
  private let entries: [Entry]
  private let texts: TextTable
  /// How many entries each kind of key has: kinds without entries are not looked up.
  private let counts: InlineArray<5, Int>

  /// The list of a gateway without one.
  public static let empty = RevocationTable([])

  /// How many entries there are.
  public var count: Int { entries.count }

  public init(_ list: [Revocation]) {
    var texts = TextTable()
    var entries: [Entry] = []
    entries.reserveCapacity(list.count)
    var counts = InlineArray<5, Int>(repeating: 0)
    var size = 16
    while size < list.count * 2 { size *= 2 }
    var slots = [UInt64](repeating: 0, count: size)
    for revocation in list {
      let value = revocation.key == .email ? revocation.value.map(lowercased) : revocation.value
      entries.append(
        Entry(
          text: texts.add(value), issuedBefore: revocation.issuedBefore ?? .infinity,
          until: revocation.until ?? .infinity, issuer: Int32(revocation.issuer ?? -1), key: revocation.key))
      counts[Int(revocation.key.rawValue)] += 1
      let hash = Self.hash(revocation.key, value.span, 0..<value.count)
      var slot = Int(truncatingIfNeeded: hash) & (size - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = hash & 0xFFFF_FFFF_0000_0000 | UInt64(entries.count)
    }
    self.slots = slots
    self.entries = entries
    self.texts = texts
    self.counts = counts
  }

  /// Whether an entry is in force for the identity. `now` is in seconds since 1970.
  public func revokes(_ identity: Span<UInt8>, now: Double) -> Bool {
    guard !entries.isEmpty else { return false }
    return revokes(.email, IdentityRecord.range(of: .email, in: identity), identity, now)
      || revokes(.subject, IdentityRecord.range(of: .subject, in: identity), identity, now)
      || revokes(.serviceToken, IdentityRecord.range(of: .commonName, in: identity), identity, now)
      || revokes(.nonce, IdentityRecord.range(of: .nonce, in: identity), identity, now)
      || revokes(.tokenDigest, IdentityRecord.tokenDigest, identity, now)
  }

  private func revokes(_ key: RevocationKey, _ range: Range<Int>?, _ identity: Span<UInt8>, _ now: Double) -> Bool {
    guard counts[Int(key.rawValue)] > 0, let range else { return false }
    let hash = Self.hash(key, identity, range)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while true {
      let content = slots[slot]
      if content == 0 { return false }
      if content >> 32 == hash >> 32 {
        let entry = entries[Int(content & 0xFFFF_FFFF) - 1]
        if entry.key == key, now < entry.until, IdentityRecord.issuedAt(identity) < entry.issuedBefore,
          entry.issuer < 0 || Int(entry.issuer) == IdentityRecord.issuer(identity),
          texts.equals(entry.text, identity, range, ignoringCase: key == .email)
        {
          return true
        }
      }
      slot = (slot + 1) & (slots.count - 1)
    }
  }

  private static func hash(_ key: RevocationKey, _ source: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
    let hash = TextHash.of(source, range, ignoringCase: key == .email)
    return (hash ^ UInt64(key.rawValue)) &* 0x9E37_79B9_7F4A_7C15
  }
}
