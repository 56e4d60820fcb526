// Who a token speaks for and how long: read from the claims, and written so that it may stand in a header.

/// What kind of identity a token carries.
public enum IdentityKind: UInt8, Sendable {
  case user, service

  /// The value of the identity header.
  public var name: StaticString {
    switch self {
    case .user: "user"
    case .service: "service"
    }
  }
}

extension TokenReader {
  /// The kind of identity, nil when the claims name none that is acceptable: a user has a well-formed `email`; a service
  /// token has a `common_name` of 1 to 254 bytes, no `email`, and a `sub` that is empty or absent.
  public var kind: IdentityKind? {
    guard isRead else { return nil }
    let source = payloadBytes.span.extracting(0..<payloadCount)
    if let subject = claims.subject, subject.kind != .string { return nil }
    if let email = claims.email { return Self.isAddress(email, in: source) ? .user : nil }
    if let subject = claims.subject, !subject.range.isEmpty { return nil }
    guard let commonName = claims.commonName, commonName.kind == .string, !commonName.range.isEmpty,
      commonName.unescapedCount(in: source) <= 254
    else { return nil }
    return .service
  }

  /// One `@` with something on either side, at most 254 bytes, no spaces and no control bytes. Two `@` are how a rule on
  /// the domain is passed by (CVE-2026-40574).
  private static func isAddress(_ node: JSONNode, in source: Span<UInt8>) -> Bool {
    guard node.kind == .string else { return false }
    var bytes = JSONText.Bytes(node.range)
    var count = 0
    var signAt = -1
    while let byte = bytes.next(in: source) {
      guard byte > 0x20, byte != 0x7F, count < 254 else { return false }
      if byte == UInt8(ascii: "@") {
        guard signAt < 0 else { return false }
        signAt = count
      }
      count += 1
    }
    return signAt > 0 && signAt < count - 1
  }

  /// `exp` in seconds since 1970, 0 < x < 2^53; nil when it is missing, no number, or out of range.
  public var expires: Double? { instant(claims.expiry) }

  /// `exp` rounded down to whole seconds, nil as `expires`.
  public var expiresFloored: Int64? { expires.map { Int64($0) } }

  /// `nbf` in seconds since 1970, 0 < x < 2^53; nil when it is absent. (A token whose `nbf` is present and not usable
  /// gives nil as well, but passes no `check`.)
  public var notBefore: Double? { instant(claims.notBefore) }

  /// `iat` in seconds since 1970, 0 < x < 2^53; nil when it is missing or not usable.
  public var issuedAt: Double? { instant(claims.issuedAt) }

  /// A time claim: a JSON number with 0 < x < 2^53, so that it converts to an integer without a trap.
  borrowing func instant(_ node: JSONNode?) -> Double? {
    guard let node, let seconds = node.number(in: payloadBytes.span.extracting(0..<payloadCount)),
      seconds > 0, seconds < 9_007_199_254_740_992
    else { return nil }
    return seconds
  }

  /// Appends the user's `email`, or a service's `common_name`; nothing without an acceptable identity.
  ///
  /// Like its neighbours it writes what a header may hold: a byte outside 0x20 to 0x7E, or `%`, becomes `%XX`, so at most
  /// three bytes for each of the claim's, which is 762 for this one. Allocates only where the capacity does not suffice.
  public borrowing func appendUser(to buffer: inout [UInt8]) {
    switch kind {
    case .user: append(claims.email, to: &buffer)
    case .service: append(claims.commonName, to: &buffer)
    case nil: break
    }
  }

  /// Appends the user's `email`, escaped as `appendUser` says; nothing for a service.
  public borrowing func appendEmail(to buffer: inout [UInt8]) {
    if kind == .user { append(claims.email, to: &buffer) }
  }

  /// Appends `sub`, escaped as `appendUser` says; nothing where it is absent. Its length is bounded by the token alone:
  /// at most 18 KiB once escaped.
  public borrowing func appendSubject(to buffer: inout [UInt8]) {
    if kind != nil { append(claims.subject, to: &buffer) }
  }

  private borrowing func append(_ node: JSONNode?, to buffer: inout [UInt8]) {
    guard let node, node.kind == .string else { return }
    let source = payloadBytes.span.extracting(0..<payloadCount)
    var bytes = JSONText.Bytes(node.range)
    while let byte = bytes.next(in: source) {
      // CR and LF in a claim would end the header; `%` is escaped so that the original can be told.
      if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
        buffer.append(byte)
      } else {
        buffer.append(UInt8(ascii: "%"))
        buffer.append(Self.hexadecimal(byte >> 4))
        buffer.append(Self.hexadecimal(byte & 0x0F))
      }
    }
  }

  private static func hexadecimal(_ digit: UInt8) -> UInt8 {
    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + (digit - 10)
  }
}
