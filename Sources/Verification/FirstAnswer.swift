// The first answer to a token, on a loop: remembered, refused, or to be verified. Here is the order of digest, memory and
// judgement, so that bench/refusals measures the one that requests take. No I/O, no clock, nothing of HTTP.

import Token

/// What an event loop can say of a token without its signature.
public enum FirstAnswer: Sendable {
  /// Verified before, and still good.
  case remembered(TokenCache.Hit)
  /// Denied.
  case refused(Reason)
  /// To be verified by this key, and then to be confirmed. The digest names audience and token.
  case needsSignature(VerificationKey, SHA256Digest)
}

extension Judge {
  /// The first answer to `token`; parameters as those of ``screen(token:audience:now:keys:reader:)``. Allocates nothing.
  ///
  /// `digest` is what `DigestMemo.digestIfShort(audience:token:)` says. A token that has one was looked up in `cache` by
  /// it, in vain: that is what the usual token costs and no more. Longer ones are screened first and digested only where
  /// nothing refuses them, so that no refusal pays for a digest of 8 KiB.
  public func answer(
    token: Span<UInt8>, audience: Span<UInt8>, digest: SHA256Digest?, now: Double, keys: [KeySet],
    reader: inout TokenReader, cache: borrowing TokenCache
  ) -> FirstAnswer {
    let screening = screen(token: token, audience: audience, now: now, keys: keys, reader: &reader)
    // A proxy may have joined two lines into one. What was remembered is no list.
    if reader.isList(token) { return .refused(.ambiguous) }
    switch screening {
    case .refused(let reason): return .refused(reason)
    case .needsSignature(let key):
      if let digest { return .needsSignature(key, digest) }
      let digest = SHA256Digest(audience: audience, token: token)
      if let hit = cache.lookup(digest, now: now) { return .remembered(hit) }
      return .needsSignature(key, digest)
    }
  }
}
