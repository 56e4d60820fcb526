// Bytes to token: the compact form (RFC 7515 section 7.1), the header's rules, the payload's JSON. No key, no clock and no
// signature here; what the claims must say is judged in Checks.swift, and handed out in Identity.swift.

/// What became of a token that was read before anybody knows its signature.
public enum Reading: Sendable, Equatable {
  /// Denied, whatever the signature.
  case refused(Reason)
  /// Its form is fine, and its claims can be judged.
  case settled
  /// Its JSON takes more work than it deserves without a valid signature. Nothing is known of its claims.
  case unsettled
}

/// Reads one assertion after the other into memory of its own, allocated once: one a loop or worker.
///
/// `read` judges the form. Then `check` judges what the claims say; both need no keys. A token is valid only when, beyond
/// both, its signature verifies by the key that its `kid` names, over the first `signingInput` bytes of the token.
/// Everything that the reader hands out is of the last token read, and nothing at all after one that was refused.
/// Used by one thread at a time.
public struct TokenReader: ~Copyable, Sendable {
  /// The longest token, in bytes.
  public static let maximumTokenLength = 8192
  /// The longest encoded header, in bytes.
  public static let maximumHeaderLength = 1024
  /// The longest `kid`, in bytes once unescaped.
  public static let maximumKeyIdentifierLength = 256

  /// The longest encoded signature that any key makes: RSA of 8192 bits.
  private static let longestSignature = 1366
  /// What ``screen(_:)`` spends on a token beyond its plain bytes, in units of about 5 ns.
  static let screeningWork = 288

  /// The nodes of the claims that are looked at; nil where the payload has no such member.
  struct Claims {
    var issuer: JSONNode?
    var audience: JSONNode?
    var expiry: JSONNode?
    var notBefore: JSONNode?
    var issuedAt: JSONNode?
    var type: JSONNode?
    var email: JSONNode?
    var commonName: JSONNode?
    var subject: JSONNode?
  }

  /// What the header says.
  struct Header {
    var algorithms: AlgorithmSet = []
    var keyIdentifier: JSONNode?
    /// `typ`; nil where the header has none.
    var type: JSONNode?
  }

  let names = MemberNames()
  var headerBytes: [UInt8]
  var headerCount = 0
  var header: JSONDocument
  var payloadBytes: [UInt8]
  var payloadCount = 0
  var payload: JSONDocument
  @usableFromInline var signatureBytes: [UInt8]
  @usableFromInline var signatureCount = 0
  @usableFromInline var keyIdentifierBytes: [UInt8]
  @usableFromInline var keyIdentifierCount = 0
  var claims = Claims()
  /// The header's `typ`; nil where it has none, and while no header is read.
  var headerType: JSONNode?

  /// Whether the header has a `kid`. False before a header is read.
  public private(set) var hasKeyIdentifier = false

  /// Whether the last token was read to its end; all answers hang on it.
  var isRead = false
  /// Whether all of the last token was decoded, so that it is base64url and two dots.
  private var isDecoded = false

  /// The algorithms that the header's `alg` stands for: empty when we have none of that name, two for `EdDSA`.
  public private(set) var algorithms: AlgorithmSet = []

  /// The bytes of the token that the signature is made over: from its start up to the second dot.
  public private(set) var signingInput: Range<Int> = 0..<0

  /// Allocates all memory: about 70 KiB.
  public init() {
    headerBytes = Array(repeating: 0, count: Self.maximumHeaderLength / 4 * 3)
    header = JSONDocument(nodeCapacity: Self.maximumHeaderLength / 4 * 3 / 2 + 1)
    payloadBytes = Array(repeating: 0, count: Self.maximumTokenLength / 4 * 3)
    // A value takes a byte and a separator at least, so every payload fits.
    payload = JSONDocument(nodeCapacity: Self.maximumTokenLength / 4 * 3 / 2 + 1)
    signatureBytes = Array(repeating: 0, count: Self.maximumTokenLength / 4 * 3)
    keyIdentifierBytes = Array(repeating: 0, count: Self.maximumKeyIdentifierLength)
  }

  /// Reads a token and judges its form: nil when that is fine, else `tooLarge` or `malformed`.
  ///
  /// A `kid` may be missing, and `typ` may be anything: whether the issuer allows that is for ``check(_:audience:now:)``.
  /// Allocates nothing; the time is linear in the token. Nothing of `token` is kept but copies.
  public mutating func read(_ token: Span<UInt8>) -> Reason? {
    switch read(token, work: Int.max) {
    case .settled: nil
    case .refused(let reason): reason
    // There is no such work, and nothing unsettled may pass for settled.
    case .unsettled: .malformed
    }
  }

  /// As ``read(_:)``, for no more than ``screeningWork`` beyond the token's plain bytes: for whoever has not seen a
  /// signature yet.
  ///
  /// The header is always read to its end. Where header and payload take more work than that, the token is
  /// ``Reading/unsettled``: the reader then hands out the header's `alg`, `kid` and `typ` and the signature, and nothing
  /// of the claims, because nothing is known of them.
  public mutating func screen(_ token: Span<UInt8>) -> Reading { read(token, work: Self.screeningWork) }

  private mutating func read(_ token: Span<UInt8>, work: Int) -> Reading {
    forget()
    let reading = judge(token, work: work)
    switch reading {
    case .settled: isRead = true
    case .unsettled: forgetPayload()
    case .refused:
      let wasDecoded = isDecoded
      forget()
      isDecoded = wasDecoded
    }
    return reading
  }

  private mutating func forget() {
    forgetPayload()
    isDecoded = false
    header.clear()
    headerCount = 0
    signatureCount = 0
    keyIdentifierCount = 0
    hasKeyIdentifier = false
    headerType = nil
    algorithms = []
    signingInput = 0..<0
  }

  private mutating func forgetPayload() {
    isRead = false
    payload.clear()
    payloadCount = 0
    claims = Claims()
  }

  private mutating func judge(_ token: Span<UInt8>, work: Int) -> Reading {
    // Length first: what costs time in proportion to the token comes after (CVE-2025-61920).
    guard token.count <= Self.maximumTokenLength else { return .refused(.tooLarge) }
    // The dots are found in place, never split into an array (CVE-2025-30204). A third one is no base64url.
    guard let firstDot = Self.firstDot(in: token), let secondDot = Self.lastDot(in: token), firstDot > 0,
      secondDot > firstDot + 1, secondDot + 1 < token.count
    else { return .refused(.malformed) }
    guard firstDot <= Self.maximumHeaderLength else { return .refused(.tooLarge) }
    guard let headerCount = Self.decode(token, 0..<firstDot, to: &headerBytes) else { return .refused(.malformed) }
    self.headerCount = headerCount
    signingInput = 0..<secondDot

    var left = Int.max
    guard Self.parse(&header, headerBytes, headerCount, &left) == .read, let header = readHeader() else {
      return .refused(.malformed)
    }
    if let keyIdentifier = header.keyIdentifier {
      guard copyKeyIdentifier(keyIdentifier) else { return .refused(.malformed) }
      hasKeyIdentifier = true
    }
    algorithms = header.algorithms
    headerType = header.type
    let spent = Int.max - left
    guard spent <= work else {
      // The header is at most 1 KiB; the payload is not even decoded. A longer signature than any is left out.
      if token.count - secondDot - 1 <= Self.longestSignature {
        guard let count = Self.decode(token, secondDot + 1..<token.count, to: &signatureBytes) else {
          return .refused(.malformed)
        }
        signatureCount = count
      }
      return .unsettled
    }

    guard let payloadCount = Self.decode(token, firstDot + 1..<secondDot, to: &payloadBytes),
      let signatureCount = Self.decode(token, secondDot + 1..<token.count, to: &signatureBytes)
    else { return .refused(.malformed) }
    isDecoded = true
    self.payloadCount = payloadCount
    self.signatureCount = signatureCount
    left = work - spent
    switch Self.parse(&payload, payloadBytes, payloadCount, &left) {
    case .read: break
    case .refused: return .refused(.malformed)
    case .unfinished: return .unsettled
    }
    guard let claims = readClaims() else { return .refused(.malformed) }
    self.claims = claims
    return .settled
  }

  /// Whether `token`, which must be the one last read, holds a comma: several tokens in one, where a proxy joined lines.
  /// Costs nothing where all of it was decoded, because a comma is no base64url. A token that is too long is not looked
  /// through, and no list.
  public borrowing func isList(_ token: Span<UInt8>) -> Bool {
    guard !isDecoded, token.count <= Self.maximumTokenLength else { return false }
    var at = 0
    while token.count - at >= 8 {
      if EightBytes(token, at: at).equal(to: UInt8(ascii: ",")).isAny { return true }
      at += 8
    }
    while at < token.count {
      if token[at] == UInt8(ascii: ",") { return true }
      at += 1
    }
    return false
  }

  private static func firstDot(in token: Span<UInt8>) -> Int? {
    var at = 0
    while token.count - at >= 8 {
      let found = EightBytes(token, at: at).equal(to: UInt8(ascii: "."))
      if found.isAny { return at + found.first }
      at += 8
    }
    while at < token.count {
      if token[at] == UInt8(ascii: ".") { return at }
      at += 1
    }
    return nil
  }

  /// From the end, because a signature is short. A dot in between is the payload's, and no base64url.
  private static func lastDot(in token: Span<UInt8>) -> Int? {
    var end = token.count
    while end >= 8, !EightBytes(token, at: end - 8).equal(to: UInt8(ascii: ".")).isAny { end -= 8 }
    while end > 0 {
      end -= 1
      if token[end] == UInt8(ascii: ".") { return end }
    }
    return nil
  }

  private static func decode(_ token: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]) -> Int? {
    var buffer = bytes.mutableSpan
    return Base64URL.decode(token, in: range, to: &buffer)
  }

  private static func parse(
    _ document: inout JSONDocument, _ bytes: [UInt8], _ count: Int, _ work: inout Int
  ) -> JSONOutcome {
    document.parse(bytes.span.extracting(0..<count), work: &work)
  }

  /// The header's rules; nil when one is broken that makes the token malformed. A member that we do not know is ignored
  /// (RFC 7515 section 4): what it must not do without our knowledge is what `crit` is for, and `crit` refuses.
  private borrowing func readHeader() -> Header? {
    let source = headerBytes.span.extracting(0..<headerCount)
    guard let root = header.root, root.kind == .object else { return nil }
    // Without `alg` no algorithm is named, which `check` refuses like every other that is not the issuer's.
    var result = Header()
    var cursor = header.children(of: root)
    while let member = header.nextMember(&cursor) {
      let value = member.value
      switch names.headerMember(member.name, in: source) {
      case .alg: result.algorithms = algorithms(of: value, in: source)
      case .kid:
        guard value.kind == .string else { return nil }
        result.keyIdentifier = value
      case .typ: result.type = value
      case .cty:
        // A JWT inside a JWT would be judged by its envelope (RFC 7519 section 5.2).
        guard value.kind == .string, !isNested(value, in: source) else { return nil }
      case .refused: return nil
      case nil: break
      }
    }
    return result
  }

  private borrowing func algorithms(of value: JSONNode, in source: Span<UInt8>) -> AlgorithmSet {
    guard value.kind == .string else { return [] }
    if !value.hasEscapes { return Algorithm.named(source.extracting(value.range)) }
    var bytes = InlineArray<5, UInt8>(repeating: 0)
    var buffer = bytes.mutableSpan
    guard let count = value.copyUnescaped(to: &buffer, in: source), count == 5 else { return [] }
    return Algorithm.named(bytes.span)
  }

  /// Whether `cty` says JWT, as a bare word or a media type, in any case.
  private borrowing func isNested(_ value: JSONNode, in source: Span<UInt8>) -> Bool {
    var lowered = InlineArray<15, UInt8>(repeating: 0)
    var buffer = lowered.mutableSpan
    guard let count = value.copyUnescaped(to: &buffer, in: source) else { return false }
    for index in 0..<count where lowered[index] >= 0x41 && lowered[index] <= 0x5A { lowered[index] |= 0x20 }
    let text = lowered.span.extracting(0..<count)
    return names.lowercaseJWT.equals(text) || names.mediaType.equals(text)
  }

  private mutating func copyKeyIdentifier(_ node: JSONNode) -> Bool {
    guard let count = Self.copy(node, from: headerBytes, headerCount, to: &keyIdentifierBytes) else { return false }
    keyIdentifierCount = count
    return true
  }

  private static func copy(
    _ node: JSONNode, from bytes: [UInt8], _ count: Int, to target: inout [UInt8]
  ) -> Int? {
    var buffer = target.mutableSpan
    return node.copyUnescaped(to: &buffer, in: bytes.span.extracting(0..<count))
  }

  /// Finds the claims in one pass over the payload's members; nil when the payload is no object.
  private borrowing func readClaims() -> Claims? {
    guard let root = payload.root, root.kind == .object else { return nil }
    let source = payloadBytes.span.extracting(0..<payloadCount)
    var found = Claims()
    var cursor = payload.children(of: root)
    while let member = payload.nextMember(&cursor) {
      let value = member.value
      switch names.claim(member.name, in: source) {
      case .iss: found.issuer = value
      case .aud: found.audience = value
      case .exp: found.expiry = value
      case .nbf: found.notBefore = value
      case .iat: found.issuedAt = value
      case .type: found.type = value
      case .email: found.email = value
      case .commonName: found.commonName = value
      case .sub: found.subject = value
      case nil: break
      }
    }
    return found
  }
}

extension TokenReader {
  /// Whether a token was read and its form is fine; false before the first and after a refusal.
  public var hasToken: Bool { isRead }

  /// Calls `body` with the decoded signature (never empty after a token was read). The span ends with the call.
  @inlinable
  public borrowing func withSignature<Result, Failure>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(signatureBytes.span.extracting(0..<signatureCount))
  }

  /// Calls `body` with the unescaped bytes of the header's `kid`, 0 to 256 of any kind (escape them before logging);
  /// none where ``hasKeyIdentifier`` is false.
  @inlinable
  public borrowing func withKeyIdentifier<Result, Failure>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(keyIdentifierBytes.span.extracting(0..<keyIdentifierCount))
  }

  /// Calls `body` with the parsed payload and its bytes, for claims that this room does not know. After a refused token
  /// there are no bytes and the document has no root.
  public borrowing func withPayload<Result, Failure>(
    _ body: (borrowing JSONDocument, Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(payload, payloadBytes.span.extracting(0..<payloadCount))
  }
}
