// What the handlers of all loops share.

import Authorization
import EventLoops
import Telemetry
import Verification

/// Made once at start; immutable, or safe from any thread.
package struct ServingParts: Sendable {
  /// Verifications that may be under way at once. At 25 µs each on one core, the last of them waits for 26 ms.
  package static let poolCells = 1024

  package let pool: VerificationPool
  /// One an issuer, in the order of the judge.
  package let bells: [UnknownKidBell]
  let keyWaitPlaces = KeyWaitPlaces()
  package let shared: SharedCounters
  package let log: Log
  /// Milliseconds that a request waits at most for a fetch of keys.
  package let unknownKidWait: Int64
  /// Bytes of remembered tokens a loop.
  package let tokenCacheBytes: Int
  /// The bound on a head, for words about larger ones.
  package let maxHeadBytes: Int

  package init(
    pool: VerificationPool, bells: [UnknownKidBell], shared: SharedCounters, log: Log,
    unknownKidWait: Int64, tokenCacheBytes: Int, maxHeadBytes: Int
  ) {
    self.pool = pool
    self.bells = bells
    self.shared = shared
    self.log = log
    self.unknownKidWait = unknownKidWait
    self.tokenCacheBytes = tokenCacheBytes
    self.maxHeadBytes = maxHeadBytes
  }

  func authorizerParts(loop: Int, _ counters: LoopCounters) -> AuthorizerParts {
    AuthorizerParts(
      loop: loop, pool: pool, poolCells: Self.poolCells, bells: bells, keyWaitPlaces: keyWaitPlaces,
      unknownKidWait: unknownKidWait, tokenCacheBytes: tokenCacheBytes, counters: counters, shared: shared)
  }
}
