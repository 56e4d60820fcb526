// One verification: copies of what it needs, and its outcome. Who may touch it when: VerificationPool's invariant.

import Verification

/// A verification that is waiting, running or finished.
///
/// Sendable without the compiler's proof: written under the pool's lock while free, read-only from then on, `isGenuine`
/// written by its one worker before the pool publishes the cell under the lock.
public final class Cell: @unchecked Sendable {
  /// The whole token.
  public private(set) var token: [UInt8] = []
  /// The audience that it was shown for.
  public private(set) var audience: [UInt8] = []
  /// The key that the signature was held against.
  public private(set) var key: VerificationKey?
  /// Names audience and token; nil until the cell is first used.
  public private(set) var digest: SHA256Digest?
  /// Whether `key` made the signature. False until a verification says otherwise.
  public private(set) var isGenuine = false

  private var signature: [UInt8] = []
  private var signingInputCount = 0

  // The pool's own, under its lock.
  var waitingLoops: UInt64 = 0
  var standing = Standing.unknown
  var nextInBucket = -1
  var isFinished = false

  func fill(
    digest: SHA256Digest, token: Span<UInt8>, audience: Span<UInt8>, signingInputCount: Int, signature: Span<UInt8>,
    key: VerificationKey
  ) {
    self.digest = digest
    self.token.replace(with: token)
    self.audience.replace(with: audience)
    self.signature.replace(with: signature)
    self.signingInputCount = signingInputCount
    self.key = key
    isGenuine = false
    isFinished = false
  }

  func verify(_ verifier: inout SignatureVerifier) {
    guard let key else { return }
    isGenuine = verifier.verify(
      signingInput: token.span.extracting(0..<signingInputCount), signature: signature.span, key: key)
  }
}

extension Array where Element == UInt8 {
  /// Takes the bytes of a span in place of its own. No allocation while the capacity lasts.
  fileprivate mutating func replace(with bytes: Span<UInt8>) {
    removeAll(keepingCapacity: true)
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}
