// A JWK set (RFC 7517 section 5) as it was fetched: from bytes to usable keys and skipped ones, duplicates judged.
// What makes a single key usable is in JWKReader.swift.

import Token

/// The keys of a JWK set, read under an issuer's rules.
public struct JWKSet: Sendable {
  /// The issuer that published the set, as in `iss`.
  public let issuer: [UInt8]
  /// The usable keys in the order of the set, no two with the same `kid`; at least one. One without `kid` is alone.
  public let keys: [VerificationKey]
  /// The keys that were skipped, in the order of the set.
  public let skipped: [SkippedKey]

  /// The longest set that is read, in bytes.
  public static let maximumBytes = 256 * 1024
  /// The most keys that a set may have.
  public static let maximumKeys = 64

  /// Whether one of the keys was symmetric or had private members.
  public var isAlarming: Bool { skipped.contains { $0.refusal.isAlarming } }

  /// Reads a JWK set. `algorithms` are the issuer's; a key without `alg` takes the first that fits, in the order of
  /// ``Algorithm``.
  public static func read(
    _ bytes: Span<UInt8>, issuer: [UInt8], algorithms: AlgorithmSet
  ) throws(JWKSetError) -> JWKSet {
    try read(bytes, issuer: issuer, preferring: Algorithm.allCases.filter(algorithms.contains))
  }

  /// Reads a JWK set. `algorithms` are the issuer's; a key without `alg` takes the first of them that fits.
  ///
  /// Of the set only `keys` is read (Cloudflare adds `public_cert` and `public_certs`). A key that is not usable is
  /// skipped, and only then duplicates are judged: the same `kid` with the same key is one key, with different keys it
  /// is none, because nobody can tell which of them is meant. For the same reason a key without `kid` is usable only
  /// where no other is. Allocates; not for the path of a request.
  public static func read(
    _ bytes: Span<UInt8>, issuer: [UInt8], preferring algorithms: [Algorithm]
  ) throws(JWKSetError) -> JWKSet {
    guard bytes.count <= maximumBytes else { throw .tooLarge }
    // A value takes a byte and a separator at least, so this many nodes hold any text of this length.
    var document = JSONDocument(nodeCapacity: bytes.count / 2 + 1)
    guard document.parse(bytes), let root = document.root, root.kind == .object else { throw .malformed }
    guard let array = document.member(of: root, named: "keys", in: bytes), array.kind == .array else { throw .noKeys }

    let reader = JWKReader(issuer: issuer, algorithms: algorithms)
    var read: [(position: Int, key: VerificationKey)] = []
    var skipped: [SkippedKey] = []
    var cursor = document.children(of: array)
    var position = 0
    while let element = document.nextElement(&cursor) {
      guard position < maximumKeys else { throw .tooManyKeys }
      do throws(KeyRefusalError) {
        read.append((position, try reader.read(element, of: document, in: bytes)))
      } catch {
        skipped.append(SkippedKey(position: position, kid: error.kid, refusal: error.refusal))
      }
      position += 1
    }

    var usable: [(position: Int, key: VerificationKey)] = []
    for (position, key) in read {
      let namesakes = read.filter { $0.key.kid == key.kid }
      if !namesakes.allSatisfy({ $0.key.isSame(as: key) }) {
        skipped.append(SkippedKey(position: position, kid: key.kid, refusal: .duplicate))
      } else if namesakes[0].position == position {
        usable.append((position, key))
      }
    }
    var keys: [VerificationKey] = []
    for (position, key) in usable {
      if key.kid.isEmpty, usable.count > 1 {
        skipped.append(SkippedKey(position: position, kid: [], refusal: .kid))
      } else {
        keys.append(key)
      }
    }
    skipped.sort { $0.position < $1.position }
    guard !keys.isEmpty else { throw .noUsableKey(skipped) }
    return JWKSet(issuer: issuer, keys: keys, skipped: skipped)
  }

  private init(issuer: [UInt8], keys: [VerificationKey], skipped: [SkippedKey]) {
    self.issuer = issuer
    self.keys = keys
    self.skipped = skipped
  }
}
