// The verdict: a token, an application, a time and a key set go in, a refusal or the one thing left to do comes out. The
// order of the checks is here; the checks themselves are the reader's (Token), the key set's and the verifier's.
// No I/O, no clock, no memory of earlier tokens (TokenCache.swift).

import Token

/// What is known of a token before its signature is verified.
public enum Assessment: Sendable {
  /// Denied, with no need of a signature.
  case refused(Reason)
  /// Everything else is fine: the verdict is what the signature by this key says.
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
  /// names. Nil when it names none.
  public func issuer(of reader: borrowing TokenReader) -> Int? {
    issuers.count == 1 ? 0 : reader.issuer(among: issuers)
  }

  /// Judges everything but the signature, the cheapest first.
  ///
  /// Reads `token` into `reader`, which then holds its signature and identity. `keys` are the sets that may be trusted,
  /// at most one an issuer; `now` is seconds since 1970. Allocates nothing. Checks that need no keys come before
  /// `keysUnavailable`, so that an outage changes no other verdict.
  public func assess(
    token: Span<UInt8>, audience: Span<UInt8>, now: Double, keys: [KeySet], reader: inout TokenReader
  ) -> Assessment {
    if let reason = reader.read(token) { return .refused(reason) }
    guard let place = issuer(of: reader) else { return .refused(.issuer) }
    let expectations = issuers[place]
    if let reason = reader.check(expectations, audience: audience, now: now) { return .refused(reason) }
    // The keys of another issuer must vouch for nothing here, whatever went wrong to bring them.
    guard let set = keys.firstIndex(where: { $0.issuer == expectations.issuer }) else {
      return .refused(.keysUnavailable)
    }
    let keys = keys[set]
    guard let place = reader.withKeyIdentifier({ keys.index(of: $0) }) else { return .refused(.keyUnknown) }
    let key = keys.keys[place]
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
