// The names that a token is asked for, in its header and in its claims. What their values must be is judged elsewhere.

/// The names and constant values that a token is asked for, made once a reader.
struct MemberNames: Sendable {
  /// The members of the header that bear on a verdict.
  enum HeaderMember {
    case alg, kid, typ, cty
    /// One that must not be there.
    case refused
  }

  /// The claims that bear on a verdict.
  enum Claim { case iss, aud, exp, nbf, iat, sub, type, email, commonName }

  private let alg: ShortText = "alg"
  private let kid: ShortText = "kid"
  private let typ: ShortText = "typ"
  private let cty: ShortText = "cty"
  private let crit: ShortText = "crit"
  private let b64: ShortText = "b64"
  private let zip: ShortText = "zip"
  private let enc: ShortText = "enc"
  private let jwk: ShortText = "jwk"
  private let jku: ShortText = "jku"
  private let x5u: ShortText = "x5u"
  private let iss: ShortText = "iss"
  private let aud: ShortText = "aud"
  private let exp: ShortText = "exp"
  private let nbf: ShortText = "nbf"
  private let iat: ShortText = "iat"
  private let sub: ShortText = "sub"
  private let type: ShortText = "type"
  private let email: ShortText = "email"
  private let commonName: ShortText = "common_name"
  let lowercaseJWT: ShortText = "jwt"
  let mediaType: ShortText = "application/jwt"
  let app: ShortText = "app"

  /// Which member of the header a name is; nil for one that we do not know.
  func headerMember(_ name: JSONNode, in source: Span<UInt8>) -> HeaderMember? {
    guard name.hasEscapes else { return headerMember(source, name.range) }
    // Unescaped once, not once a comparison, and no further than the longest of the names.
    var unescaped = InlineArray<4, UInt8>(repeating: 0)
    var buffer = unescaped.mutableSpan
    guard let count = name.copyUnescaped(to: &buffer, in: source) else { return nil }
    return headerMember(unescaped.span, 0..<count)
  }

  private func headerMember(_ bytes: Span<UInt8>, _ range: Range<Int>) -> HeaderMember? {
    switch range.count {
    case 3:
      if alg.equals(bytes, in: range) { return .alg }
      if kid.equals(bytes, in: range) { return .kid }
      if typ.equals(bytes, in: range) { return .typ }
      if cty.equals(bytes, in: range) { return .cty }
      // Each changes what is signed or how it is read (CVE-2026-35042, CVE-2025-59420).
      if b64.equals(bytes, in: range) || zip.equals(bytes, in: range) || enc.equals(bytes, in: range) {
        return .refused
      }
      // A token must not bring its own key, nor say where to fetch one.
      if jwk.equals(bytes, in: range) || jku.equals(bytes, in: range) || x5u.equals(bytes, in: range) {
        return .refused
      }
      return nil
    // What must be understood; we understand no extension.
    case 4: return crit.equals(bytes, in: range) ? .refused : nil
    default: return nil
    }
  }

  /// Which claim a name is; nil for one that we do not look at.
  func claim(_ name: JSONNode, in source: Span<UInt8>) -> Claim? {
    guard name.hasEscapes else { return claim(source, name.range) }
    // As above.
    var unescaped = InlineArray<11, UInt8>(repeating: 0)
    var buffer = unescaped.mutableSpan
    guard let count = name.copyUnescaped(to: &buffer, in: source) else { return nil }
    return claim(unescaped.span, 0..<count)
  }

  private func claim(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Claim? {
    switch range.count {
    case 3:
      if iss.equals(bytes, in: range) { return .iss }
      if aud.equals(bytes, in: range) { return .aud }
      if exp.equals(bytes, in: range) { return .exp }
      if nbf.equals(bytes, in: range) { return .nbf }
      if iat.equals(bytes, in: range) { return .iat }
      if sub.equals(bytes, in: range) { return .sub }
      return nil
    case 4: return type.equals(bytes, in: range) ? .type : nil
    case 5: return email.equals(bytes, in: range) ? .email : nil
    case 11: return commonName.equals(bytes, in: range) ? .commonName : nil
    default: return nil
    }
  }
}
