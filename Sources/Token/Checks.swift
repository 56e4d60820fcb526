// What a token must say before its signature is looked at: pure functions of the claims, the expectations and the time.
// Each check is written once; `check` runs them in order, `explain` prints them one by one.

/// Which kinds of identity are let in: the setting `require`.
public enum Requirement: UInt8, CaseIterable, Sendable {
  /// A user with an `email`.
  case identity
  /// A service token with a `common_name`.
  case service
  /// Either.
  case any
}

/// What an issuer's tokens must say. Immutable; shared by all threads.
public struct Expectations: Sendable {
  /// The exact bytes of `iss`, a slash at its end too.
  public let issuer: [UInt8]
  /// The algorithms that the issuer signs with; Cloudflare: RS256 alone.
  public let algorithms: AlgorithmSet
  /// What the header's `typ` may say, where it says anything.
  public let tokenTypes: [TokenType]
  /// Whether a token must name its key. Cloudflare's always do; of other issuers, one without `kid` is verified by the
  /// only key of the set that is for its `alg`.
  public let needsKeyIdentifier: Bool
  /// How far clocks may differ, in seconds: 0 to 300.
  public let leeway: Double
  /// Which kinds of identity are let in.
  public let require: Requirement
  /// The audiences of which `aud` must hold one, whatever the path says; empty: the one that is asked for.
  public let audiences: [[UInt8]]

  /// `leeway` is brought into 0...300 seconds, so that no slip in a setting can stretch a token's life without bound.
  public init(
    issuer: [UInt8], algorithms: AlgorithmSet = .rs256, tokenTypes: [TokenType] = [.jwt], leeway: Int = 30,
    require: Requirement = .identity, audiences: [[UInt8]] = []
  ) {
    self.issuer = issuer
    self.algorithms = algorithms
    self.tokenTypes = tokenTypes
    needsKeyIdentifier = IssuerName.isCloudflare(issuer)
    self.leeway = Double(min(max(leeway, 0), 300))
    self.require = require
    self.audiences = audiences
  }
}

/// The checks that need no key, in the order in which they decide.
public enum Check: UInt8, CaseIterable, Sendable {
  case keyIdentifier
  case headerType
  case algorithm
  case issuer
  case audience
  case expiry
  case notBefore
  case issuedAt
  case type
  case identity

  /// The claim or header member that it looks at.
  public var name: StaticString {
    switch self {
    case .keyIdentifier: "kid"
    case .headerType: "typ"
    case .algorithm: "alg"
    case .issuer: "iss"
    case .audience: "aud"
    case .expiry: "exp"
    case .notBefore: "nbf"
    case .issuedAt: "iat"
    case .type: "type"
    case .identity: "identity"
    }
  }
}

extension TokenReader {
  /// Runs all checks that need no key on the token last read; nil when all pass, else the first one's reason.
  ///
  /// `audience` is the application that was asked for, `now` seconds since 1970. Without a token: `malformed`. The
  /// signature is not looked at: a nil is no allow.
  public borrowing func check(
    _ expectations: borrowing Expectations, audience: Span<UInt8>, now: Double
  ) -> Reason? {
    // By raw value, because `allCases` is an array.
    var number: UInt8 = 0
    while let check = Check(rawValue: number) {
      if let reason = outcome(of: check, expectations, audience: audience, now: now) { return reason }
      number += 1
    }
    return nil
  }

  /// The outcome of one check on the token last read, whatever the others say; nil when it passes.
  public borrowing func outcome(
    of check: Check, _ expectations: borrowing Expectations, audience: Span<UInt8>, now: Double
  ) -> Reason? {
    guard isRead else { return .malformed }
    let source = payloadBytes.span.extracting(0..<payloadCount)
    switch check {
    case .keyIdentifier: return hasNeededKeyIdentifier(expectations) ? nil : .malformed
    case .headerType: return hasExpectedType(expectations) ? nil : .tokenType
    case .algorithm: return algorithms.isDisjoint(with: expectations.algorithms) ? .algorithm : nil
    case .issuer: return hasIssuer(expectations.issuer.span, in: source) ? nil : .issuer
    case .audience: return hasAudience(audience, or: expectations.audiences, in: source) ? nil : .audience
    case .expiry: return isCurrent(now: now, leeway: expectations.leeway) ? nil : .expired
    case .notBefore: return isValidYet(now: now, leeway: expectations.leeway) ? nil : .notYetValid
    case .issuedAt: return isIssued(now: now, leeway: expectations.leeway) ? nil : .issuedInFuture
    case .type: return hasApplicationType(in: source) ? nil : .tokenType
    case .identity: return satisfies(expectations.require) ? nil : .identity
    }
  }

  /// Which of several issuers the token last read claims to be from, by the exact bytes of `iss`; nil: none of them.
  /// Allocates nothing.
  public borrowing func issuer(among candidates: [Expectations]) -> Int? {
    guard isRead else { return nil }
    let source = payloadBytes.span.extracting(0..<payloadCount)
    for place in candidates.indices {
      let name = candidates[place].issuer
      if hasIssuer(name.span, in: source) { return place }
    }
    return nil
  }

  /// What the header alone says wrong of a token of that issuer; nil: nothing. Also for a token that is
  /// ``Reading/unsettled``.
  public borrowing func checkHeader(_ expectations: borrowing Expectations) -> Reason? {
    guard hasNeededKeyIdentifier(expectations) else { return .malformed }
    guard hasExpectedType(expectations) else { return .tokenType }
    return algorithms.isDisjoint(with: expectations.algorithms) ? .algorithm : nil
  }

  private borrowing func hasNeededKeyIdentifier(_ expectations: borrowing Expectations) -> Bool {
    hasKeyIdentifier || !expectations.needsKeyIdentifier
  }

  private borrowing func hasExpectedType(_ expectations: borrowing Expectations) -> Bool {
    guard let type = headerType else { return true }
    let source = headerBytes.span.extracting(0..<headerCount)
    for place in expectations.tokenTypes.indices {
      if expectations.tokenTypes[place].matches(type, in: source) { return true }
    }
    return false
  }

  private borrowing func hasIssuer(_ issuer: Span<UInt8>, in source: Span<UInt8>) -> Bool {
    guard let node = claims.issuer else { return false }
    return node.equals(issuer, in: source)
  }

  /// RFC 7519 section 4.1.3: one string, or an array of strings. All of the array is judged, so that readers that
  /// disagree on its odd elements cannot be played against each other.
  ///
  /// - Parameter accepted: in place of `audience`, where there are any.
  private borrowing func hasAudience(
    _ audience: Span<UInt8>, or accepted: [[UInt8]], in source: Span<UInt8>
  ) -> Bool {
    guard !accepted.isEmpty else { return hasAudience(audience, in: source) }
    for place in accepted.indices {
      let one = accepted[place]
      if hasAudience(one.span, in: source) { return true }
    }
    return false
  }

  private borrowing func hasAudience(_ audience: Span<UInt8>, in source: Span<UInt8>) -> Bool {
    // An empty audience in the claim must not meet an empty one in the question.
    guard !audience.isEmpty, let node = claims.audience else { return false }
    guard node.kind == .array else { return node.equals(audience, in: source) }
    var isFound = false
    var cursor = payload.children(of: node)
    while let element = payload.nextElement(&cursor) {
      guard element.kind == .string else { return false }
      if element.equals(audience, in: source) { isFound = true }
    }
    return isFound
  }

  // The comparisons of time are put so that a NaN refuses.

  /// RFC 7519 section 4.1.4: "on or after" the time it has expired.
  private borrowing func isCurrent(now: Double, leeway: Double) -> Bool {
    guard let expires else { return false }
    return now < expires + leeway
  }

  private borrowing func isValidYet(now: Double, leeway: Double) -> Bool {
    guard claims.notBefore != nil else { return true }
    guard let notBefore else { return false }
    return notBefore <= now + leeway
  }

  private borrowing func isIssued(now: Double, leeway: Double) -> Bool {
    guard let issuedAt else { return false }
    return issuedAt <= now + leeway
  }

  /// `org` is the team's own session token, signed with the same keys and good for no application.
  private borrowing func hasApplicationType(in source: Span<UInt8>) -> Bool {
    guard let node = claims.type else { return true }
    return node.equals(names.app, in: source)
  }

  private borrowing func satisfies(_ requirement: Requirement) -> Bool {
    switch kind {
    case .user: requirement != .service
    case .service: requirement != .identity
    case nil: false
    }
  }
}
