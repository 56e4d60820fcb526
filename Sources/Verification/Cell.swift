// One verification: copies of what it needs, and its outcome. Who may touch it when: VerificationPool's invariant.

import Glibc

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
  /// Whether `key` made the signature. False until a verification says otherwise.
  public private(set) var isGenuine = false

  private var signature: [UInt8] = []
  private var signingInputCount = 0

  // The pool's own, under its lock.
  var waitingLoops: UInt64 = 0
  var standing = Standing.unknown
  var hash: UInt64 = 0
  var nextInBucket = -1
  var isFinished = false

  func fill(
    hash: UInt64, token: Span<UInt8>, audience: Span<UInt8>, signingInputCount: Int, signature: Span<UInt8>,
    key: VerificationKey
  ) {
    self.hash = hash
    self.token.replace(with: token)
    self.audience.replace(with: audience)
    self.signature.replace(with: signature)
    self.signingInputCount = signingInputCount
    self.key = key
    isGenuine = false
    isFinished = false
  }

  /// Whether the cell verifies exactly this.
  func holds(token: Span<UInt8>, audience: Span<UInt8>, key: VerificationKey) -> Bool {
    let (ownToken, ownAudience) = (self.token, self.audience)
    return ownToken.span.hasSameBytes(as: token) && ownAudience.span.hasSameBytes(as: audience)
      && self.key?.isSame(as: key) == true
  }

  /// A cell that is free keeps nothing of a token.
  func erase() {
    token.erase()
    signature.erase()
    audience.erase()
    key = nil
    isGenuine = false
  }

  func verify(_ verifier: inout SignatureVerifier) {
    guard let key else { return }
    isGenuine = verifier.verify(
      signingInput: token.span.extracting(0..<signingInputCount), signature: signature.span, key: key)
  }
}

extension Array where Element == UInt8 {
  /// Overwrites its bytes with zeros, in a way that no compiler leaves out, and keeps the capacity.
  fileprivate mutating func erase() {
    // Safe: the buffer is the array's own for the call.
    unsafe withUnsafeMutableBytes { bytes in
      if let start = bytes.baseAddress { unsafe explicit_bzero(start, bytes.count) }
    }
    removeAll(keepingCapacity: true)
  }

  /// Takes the bytes of a span in place of its own. No allocation while the capacity lasts.
  fileprivate mutating func replace(with bytes: Span<UInt8>) {
    removeAll(keepingCapacity: true)
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }
}
