// The verdict: a token, an application, a time and a key set go in, a refusal or the one thing left to do comes out. The
// order of the checks is here; the checks themselves are the reader's (Token), the key set's and the verifier's.
// No I/O, no clock, no memory of earlier tokens (TokenCache.swift).

import Token

/// What is known of a token before its signature is verified. There is no case that allows.
public enum Screening: Sendable {
  /// Denied, with no need of a signature.
  case refused(Reason)
  /// To be verified by this key. A good signature does not allow yet: see ``Judge/confirm(token:audience:now:keys:verifiedBy:reader:)``.
  case needsSignature(VerificationKey)
}

/// Whether a token lets a request through.
public enum Verdict: Sendable, Equatable {
  case denied(Reason)
  case allowed
}

/// When a verified token may be served from memory, in seconds since 1970: from `validFrom`, and before `refuseFrom`.
public struct Validity: Sendable, Equatable, BitwiseCopyable {
  /// `nbf` or `iat`, whichever is later, less the leeway: a clock that is set back makes both lie ahead again.
  public let validFrom: Double
  /// `exp` plus the leeway: at this very moment the token is refused.
  public let refuseFrom: Double
}

/// Judges tokens by what their issuer's tokens must say. Immutable; any thread may use it.
public struct Judge: Sendable {
  /// What the tokens of each issuer must say; no two entries are of one issuer.
  public let issuers: [Expectations]

  public init(_ issuers: [Expectations]) { self.issuers = issuers }

  public init(_ expectations: Expectations) { self.init([expectations]) }

  /// The place in ``issuers`` that the token last read is judged by: the only one, or with several the one that `iss`
  /// names. Nil when it names none, or its claims were not read.
  public func issuer(of reader: borrowing TokenReader) -> Int? {
    issuers.count == 1 ? 0 : reader.issuer(among: issuers)
  }

  /// Looks at a token that nobody has vouched for, at a bounded cost: what refuses it before its signature, or the key to
  /// hold the signature against.
  ///
  /// Reads `token` into `reader`, which then holds its signature. `keys` are the sets that may be trusted, at most one an
  /// issuer; `now` is seconds since 1970. Allocates nothing.
  ///
  /// Where the token's JSON takes too much work (``TokenReader/screen(_:)``), its claims are not judged: the header's form,
  /// `typ`, `alg`, `kid` and the signature's length are, and the rest waits for a good signature. What
  /// ``verdict(token:audience:now:keys:reader:verifier:)`` would have said of its payload or claims then becomes what is
  /// wrong with these, `keys_unavailable` where no keys are trusted, or `signature`. The `kid` picks among the sets of all
  /// issuers then. Where two have it, which only these issuers can bring about, the token is judged in full at once; so
  /// is one without `kid` where the sets of two issuers have one key for its `alg`.
  public func screen(
    token: Span<UInt8>, audience: Span<UInt8>, now: Double, keys: [KeySet], reader: inout TokenReader
  ) -> Screening {
    switch reader.screen(token) {
    case .refused(let reason): return .refused(reason)
    case .settled: return assessClaims(audience: audience, now: now, keys: keys, reader: reader)
    case .unsettled: break
    }
    if issuers.count == 1, let reason = reader.checkHeader(issuers[0]) { return .refused(reason) }
    var candidate = candidate(by: .name, among: keys, reader)
    if case .none = candidate { candidate = self.candidate(by: .elimination, among: keys, reader) }
    switch candidate {
    case .one(let key, let place):
      if let reason = reader.checkHeader(issuers[place]) { return .refused(reason) }
      return compare(key, issuers[place], reader)
    case .several: return assess(token: token, audience: audience, now: now, keys: keys, reader: &reader)
    case .none:
      // It may be a key of an issuer whose keys are not there.
      let isComplete = issuers.allSatisfy { set(of: $0, among: keys) != nil }
      guard isComplete else { return .refused(.keysUnavailable) }
      return .refused(reader.hasKeyIdentifier ? .keyUnknown : .malformed)
    }
  }

  /// How a token that does not tell its issuer yet picks a key.
  private enum Choice {
    /// By its `kid`.
    case name
    /// As the only key that it can be by.
    case elimination
  }

  /// The keys that an unsettled token may be by, over the sets of all issuers.
  private enum Candidate {
    case none
    case one(VerificationKey, issuer: Int)
    case several
  }

  private func candidate(by choice: Choice, among keys: [KeySet], _ reader: borrowing TokenReader) -> Candidate {
    var found: (key: VerificationKey, issuer: Int)?
    for set in keys {
      guard let place = issuers.firstIndex(where: { $0.issuer == set.issuer }) else { continue }
      let index: Int? =
        switch choice {
        case .name: reader.hasKeyIdentifier ? reader.withKeyIdentifier { set.namedIndex(of: $0) } : nil
        case .elimination: self.index(in: set, issuers[place], reader)
        }
      guard let index else { continue }
      guard found == nil else { return .several }
      found = (set.keys[index], place)
    }
    guard let found else { return .none }
    return .one(found.key, issuer: found.issuer)
  }

  /// Where in its issuer's set the key is that the token last read is by, as its header says; nil: nowhere.
  private func index(
    in set: KeySet, _ expectations: Expectations, _ reader: borrowing TokenReader
  ) -> Int? {
    if reader.hasKeyIdentifier { return reader.withKeyIdentifier { set.index(of: $0) } }
    return expectations.needsKeyIdentifier ? nil : set.index(ofOnlyKeyFor: reader.algorithms)
  }

  /// The first answer to a token that is not remembered: ``screen(token:audience:now:keys:reader:)``, and with that a word
  /// about what a proxy may have made of two lines: one list, which is denied as `ambiguous`. Allocates nothing.
  public func firstAnswer(
    token: Span<UInt8>, audience: Span<UInt8>, now: Double, keys: [KeySet], reader: inout TokenReader
  ) -> Screening {
    let screening = screen(token: token, audience: audience, now: now, keys: keys, reader: &reader)
    return reader.isList(token) ? .refused(.ambiguous) : screening
  }

  /// Judges a token in full whose signature `key` has made, by the time and the keys of now: a key may have left, a time
  /// may have come since ``screen(token:audience:now:keys:reader:)``, which may have left the claims for later.
  ///
  /// `reader` then holds the token and its identity, if it is allowed.
  public func confirm(
    token: Span<UInt8>, audience: Span<UInt8>, now: Double, keys: [KeySet], verifiedBy key: VerificationKey,
    reader: inout TokenReader
  ) -> Verdict {
    switch assess(token: token, audience: audience, now: now, keys: keys, reader: &reader) {
    case .refused(let reason): .denied(reason)
    // The signature counts for the key that it was held against alone.
    case .needsSignature(let own): own.isSame(as: key) ? .allowed : .denied(.keyUnknown)
    }
  }

  /// Judges everything but the signature, the cheapest first.
  ///
  /// Checks that need no keys come before `keysUnavailable`, so that an outage changes no other verdict.
  func assess(
    token: Span<UInt8>, audience: Span<UInt8>, now: Double, keys: [KeySet], reader: inout TokenReader
  ) -> Screening {
    if let reason = reader.read(token) { return .refused(reason) }
    return assessClaims(audience: audience, now: now, keys: keys, reader: reader)
  }

  /// The same for a token that `reader` has read to its end.
  private func assessClaims(
    audience: Span<UInt8>, now: Double, keys: [KeySet], reader: borrowing TokenReader
  ) -> Screening {
    guard let place = issuer(of: reader) else { return .refused(.issuer) }
    let expectations = issuers[place]
    if let reason = reader.check(expectations, audience: audience, now: now) { return .refused(reason) }
    guard let set = set(of: expectations, among: keys) else { return .refused(.keysUnavailable) }
    let keys = keys[set]
    guard let place = index(in: keys, expectations, reader) else {
      return .refused(reader.hasKeyIdentifier ? .keyUnknown : .malformed)
    }
    return compare(keys.keys[place], expectations, reader)
  }

  /// The keys of another issuer must vouch for nothing here, whatever went wrong to bring them.
  private func set(of expectations: Expectations, among keys: [KeySet]) -> Int? {
    keys.firstIndex { $0.issuer == expectations.issuer }
  }

  private func compare(
    _ key: VerificationKey, _ expectations: Expectations, _ reader: borrowing TokenReader
  ) -> Screening {
    // The key's algorithm decides, the token's is compared: a token that chose could turn a public key into a secret.
    guard reader.algorithms.contains(key.algorithm), expectations.algorithms.contains(key.algorithm) else {
      return .refused(.algorithm)
    }
    // A wrong length can't be right, and costs no turn of a worker.
    guard reader.withSignature({ $0.count }) == key.signatureLength else { return .refused(.signature) }
    return .needsSignature(key)
  }

  /// Judges a token to the end, the signature included. For a worker, `check`, `explain` and tests.
  public func verdict(
    token: Span<UInt8>, audience: Span<UInt8>, now: Double, keys: [KeySet], reader: inout TokenReader,
    verifier: inout SignatureVerifier
  ) -> Verdict {
    switch assess(token: token, audience: audience, now: now, keys: keys, reader: &reader) {
    case .refused(let reason): return .denied(reason)
    case .needsSignature(let key):
      let signingInput = token.extracting(reader.signingInput)
      let good = reader.withSignature { signature in
        verifier.verify(signingInput: signingInput, signature: signature, key: key)
      }
      return good ? .allowed : .denied(.signature)
    }
  }

  /// How long the token last read by `reader` may be served once it is verified; nil without a token or its `exp`.
  public func validity(of reader: borrowing TokenReader) -> Validity? {
    guard let expires = reader.expires, let place = issuer(of: reader) else { return nil }
    let leeway = issuers[place].leeway
    let begins = max(reader.notBefore ?? 0, reader.issuedAt ?? 0)
    return Validity(validFrom: begins - leeway, refuseFrom: expires + leeway)
  }
}
