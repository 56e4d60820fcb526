// What the handlers of all loops share.

import EventLoops
import Telemetry
import Verification

/// Made once at start; immutable, or safe from any thread.
package struct ServingParts: Sendable {
  /// Verifications that may be under way at once. At 25 µs each on one core, the last of them waits for 26 ms.
  package static let poolCells = 1024

  package let judge: Judge
  package let pool: VerificationPool
  /// One an issuer, in the order of the judge.
  package let bells: [UnknownKidBell]
  let keyWaitPlaces = KeyWaitPlaces()
  package let shared: SharedCounters
  package let log: Log
  /// 401, 403 or 503: what is answered where nothing can be decided.
  package let unavailableStatus: Int
  /// Adds `X-Auth-Reason` to denials.
  package let exposesReason: Bool
  /// Milliseconds that a request waits at most for a fetch of keys.
  package let unknownKidWait: Int64
  /// Bytes of remembered tokens a loop.
  package let tokenCacheBytes: Int
  /// The bound on a head, for words about larger ones.
  package let maxHeadBytes: Int

  package init(
    judge: Judge, pool: VerificationPool, bells: [UnknownKidBell], shared: SharedCounters, log: Log,
    unavailableStatus: Int, exposesReason: Bool, unknownKidWait: Int64, tokenCacheBytes: Int, maxHeadBytes: Int
  ) {
    self.judge = judge
    self.pool = pool
    self.bells = bells
    self.shared = shared
    self.log = log
    self.unavailableStatus = unavailableStatus
    self.exposesReason = exposesReason
    self.unknownKidWait = unknownKidWait
    self.tokenCacheBytes = tokenCacheBytes
    self.maxHeadBytes = maxHeadBytes
  }
}
