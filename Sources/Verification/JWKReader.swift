// What makes a JWK (RFC 7517 section 4) a usable key: OpenSSL verifies under any key, so size, exponent, curve, use and
// algorithm are judged here, when the key is loaded. No OpenSSL calls (PublicKey.swift), no sets (JWKSet.swift).

import Token

/// A key's refusal on its way to the list of skipped keys.
struct KeyRefusalError: Error {
  let kid: [UInt8]
  let refusal: KeyRefusal
}

/// Reads single keys under the rules of one issuer.
struct JWKReader {
  let issuer: [UInt8]
  /// The issuer's. A key without `alg` takes the first that fits.
  let algorithms: [Algorithm]

  /// Members that only a private or a symmetric key has (RFC 7518 sections 6.2.2, 6.3.2, 6.4).
  private static let privateMembers: [ShortText] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
  private static let maximumKidBytes = 256
  private static let rsaBits = 2048...8192

  /// The usable key of a JWK, or why it is none.
  func read(
    _ node: JSONNode, of document: borrowing JSONDocument, in source: Span<UInt8>
  ) throws(KeyRefusalError) -> VerificationKey {
    guard node.kind == .object else { throw KeyRefusalError(kid: [], refusal: .notAnObject) }
    let kid = Self.kid(node, document, source)
    do throws(KeyRefusal) {
      return try read(node, kid: kid, document, source)
    } catch {
      throw KeyRefusalError(kid: kid ?? [], refusal: error)
    }
  }

  private func read(
    _ node: JSONNode, kid: [UInt8]?, _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) throws(KeyRefusal) -> VerificationKey {
    let type = Self.member(of: node, document, named: "kty", in: source)
    // Before anything else, so that no other defect hides the alarm: a published secret mints tokens.
    if let type, type.equals("oct", in: source) { throw .symmetric }
    for name in Self.privateMembers where Self.member(of: node, document, named: name, in: source) != nil {
      throw .privatePart
    }
    guard let kid else { throw .kid }
    guard let type else { throw .keyType }
    // A key for encryption would verify just as well (RFC 7517 sections 4.2 and 4.3).
    if let use = Self.member(of: node, document, named: "use", in: source), !use.equals("sig", in: source) {
      throw .use
    }
    if let operations = Self.member(of: node, document, named: "key_ops", in: source) {
      guard Self.allowsVerify(operations, document, source) else { throw .keyOperations }
    }
    if type.equals("RSA", in: source) {
      let algorithm = try algorithm(of: node, type: .rsa, curve: nil, document, source)
      return try rsa(node, kid: kid, algorithm, document, source)
    }
    if type.equals("EC", in: source) {
      let curve = try Self.curve(of: node, [.p256, .p384, .p521], document, source)
      let algorithm = try algorithm(of: node, type: .ec, curve: curve, document, source)
      return try ellipticCurve(node, kid: kid, algorithm, curve, document, source)
    }
    if type.equals("OKP", in: source) {
      let curve = try Self.curve(of: node, [.ed25519, .ed448], document, source)
      let algorithm = try algorithm(of: node, type: .okp, curve: curve, document, source)
      return try edwards(node, kid: kid, algorithm, curve, document, source)
    }
    throw .keyType
  }

  // MARK: - The key's role

  /// The value of a member; nil where it is missing or null, which serializers write for members that are not set.
  private static func member(
    of node: JSONNode, _ document: borrowing JSONDocument, named name: ShortText, in source: Span<UInt8>
  ) -> JSONNode? {
    guard let member = document.member(of: node, named: name, in: source), member.kind != .null else { return nil }
    return member
  }

  /// The key's name, empty where it has none; nil where that is no name.
  private static func kid(
    _ node: JSONNode, _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) -> [UInt8]? {
    guard let kid = Self.member(of: node, document, named: "kid", in: source) else { return [] }
    guard kid.kind == .string, (1...maximumKidBytes).contains(kid.unescapedCount(in: source))
    else { return nil }
    var bytes: [UInt8] = []
    kid.appendUnescaped(to: &bytes, in: source)
    return bytes
  }

  private static func allowsVerify(
    _ operations: JSONNode, _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) -> Bool {
    guard operations.kind == .array else { return false }
    var cursor = document.children(of: operations)
    var verifies = false
    while let operation = document.nextElement(&cursor) {
      guard operation.kind == .string else { return false }
      if operation.equals("verify", in: source) { verifies = true }
    }
    return verifies
  }

  /// The key's one algorithm: its `alg`, or without it the first of the issuer's that fits. A key that could serve two
  /// algorithms would let the token choose.
  private func algorithm(
    of node: JSONNode, type: KeyType, curve: Curve?, _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) throws(KeyRefusal) -> Algorithm {
    let fitting = Algorithm.allCases.filter { $0.keyType == type && $0.curve == curve }
    guard let named = Self.member(of: node, document, named: "alg", in: source) else {
      guard let first = algorithms.first(where: fitting.contains) else { throw .algorithmUndetermined }
      return first
    }
    var name: [UInt8] = []
    if named.kind == .string { named.appendUnescaped(to: &name, in: source) }
    let meant = Algorithm.named(name.span)
    guard !meant.isEmpty else { throw .algorithmUnknown }
    guard let algorithm = fitting.first(where: meant.contains) else { throw .algorithmMisfit }
    guard algorithms.contains(algorithm) else { throw .algorithmNotIssuers }
    return algorithm
  }

  private static func curve(
    of node: JSONNode, _ candidates: [Curve], _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) throws(KeyRefusal) -> Curve {
    guard let named = Self.member(of: node, document, named: "crv", in: source), named.kind == .string else {
      throw .curve
    }
    var name: [UInt8] = []
    named.appendUnescaped(to: &name, in: source)
    for curve in candidates where name.elementsEqual(curve.name.description.utf8) { return curve }
    throw .curve
  }

  // MARK: - The key's material

  private func rsa(
    _ node: JSONNode, kid: [UInt8], _ algorithm: Algorithm, _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) throws(KeyRefusal) -> VerificationKey {
    guard let n = Self.number("n", of: node, atMost: Self.rsaBits.upperBound / 8 + 1, document, source),
      let first = n.first, first != 0, let last = n.last, last & 1 == 1
    else { throw .modulus }
    let bits = n.count * 8 - first.leadingZeroBitCount
    guard Self.rsaBits.contains(bits) else { throw .modulusSize }
    // e = 1 makes any message its own signature, and OpenSSL verifies it. 3 is sound, but Cloudflare has no such key.
    let e = Self.number("e", of: node, atMost: 4, document, source)
    guard e == [1, 0, 1] || e == [3] && !IssuerName.isCloudflare(issuer) else { throw .exponent }
    guard !ROCA.hasFingerprint(n) else { throw .modulusWeak }
    guard let publicKey = PublicKey.rsa(modulus: n, exponent: e ?? []),
      let key = VerificationKey(issuer: issuer, kid: kid, algorithm: algorithm, bits: bits, publicKey: publicKey)
    else { throw .unusable }
    return key
  }

  private func ellipticCurve(
    _ node: JSONNode, kid: [UInt8], _ algorithm: Algorithm, _ curve: Curve, _ document: borrowing JSONDocument,
    _ source: Span<UInt8>
  ) throws(KeyRefusal) -> VerificationKey {
    let (length, bits) =
      switch curve {
      case .p256: (32, 256)
      case .p384: (48, 384)
      case .p521: (66, 521)
      case .ed25519, .ed448: (0, 0)
      }
    // RFC 7518 section 6.2.1.2: the full length of the field, leading zeros included.
    guard length > 0, let x = Self.bytes("x", of: node, atMost: length, document, source), x.count == length,
      let y = Self.bytes("y", of: node, atMost: length, document, source), y.count == length,
      let publicKey = PublicKey.ellipticCurve(group: curve.name.description, x: x, y: y)
    else { throw .point }
    guard let key = VerificationKey(issuer: issuer, kid: kid, algorithm: algorithm, bits: bits, publicKey: publicKey)
    else { throw .unusable }
    return key
  }

  private func edwards(
    _ node: JSONNode, kid: [UInt8], _ algorithm: Algorithm, _ curve: Curve, _ document: borrowing JSONDocument,
    _ source: Span<UInt8>
  ) throws(KeyRefusal) -> VerificationKey {
    let (length, bits) = curve == .ed448 ? (57, 456) : (32, 256)
    guard let x = Self.bytes("x", of: node, atMost: length, document, source), x.count == length,
      EdwardsPoint.isSound(x, on: curve)
    else { throw .point }
    guard let publicKey = PublicKey.edwards(name: curve.name.description, point: x),
      let key = VerificationKey(issuer: issuer, kid: kid, algorithm: algorithm, bits: bits, publicKey: publicKey)
    else { throw .unusable }
    return key
  }

  /// A big-endian number of a member, as ``bytes``, without the one leading zero that encoders of signed numbers put
  /// before it. RFC 7518 section 6.3.1.1 forbids that zero, and names it as a common slip.
  private static func number(
    _ name: ShortText, of node: JSONNode, atMost limit: Int, _ document: borrowing JSONDocument,
    _ source: Span<UInt8>
  ) -> [UInt8]? {
    guard var number = bytes(name, of: node, atMost: limit, document, source) else { return nil }
    if number.count > 1, number[0] == 0 { number.removeFirst() }
    return number
  }

  /// The bytes of a base64url member; nil when it is missing, empty, no string, badly encoded or longer than `limit`.
  private static func bytes(
    _ name: ShortText, of node: JSONNode, atMost limit: Int, _ document: borrowing JSONDocument,
    _ source: Span<UInt8>
  ) -> [UInt8]? {
    guard let member = Self.member(of: node, document, named: name, in: source), member.kind == .string,
      (1...limit * 4 / 3 + 2).contains(member.unescapedCount(in: source))
    else { return nil }
    var text: [UInt8] = []
    member.appendUnescaped(to: &text, in: source)
    var decoded = [UInt8](repeating: 0, count: text.count)
    var buffer = decoded.mutableSpan
    guard let count = Base64URL.decode(text.span, in: 0..<text.count, to: &buffer), count <= limit else { return nil }
    decoded.removeLast(decoded.count - count)
    return decoded
  }
}

extension KeyRefusal: Error {}

/// The fingerprint of RSA moduli from a flawed library of smart cards and TPMs: Nemec et al., "The Return of
/// Coppersmith's Attack" (CCS 2017), CVE-2017-15361. Such a modulus is a power of 65537 modulo each small prime. Of
/// sound moduli one in 2^28 looks the same and is refused with them.
private enum ROCA {
  private static let primes: [Int] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
  ]

  static func hasFingerprint(_ modulus: [UInt8]) -> Bool {
    primes.allSatisfy { prime in
      let remainder = modulus.reduce(0) { ($0 * 256 + Int($1)) % prime }
      var power = 1
      repeat {
        if power == remainder { return true }
        power = power * 65537 % prime
      } while power != 1
      return false
    }
  }
}
