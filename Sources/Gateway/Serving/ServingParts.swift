// What the loops of one process share, and how the control thread speaks to them.

import EventHTTP
import Telemetry
import Settings
import Verification
import VerificationPool

/// Made once at start; immutable, or safe from any thread.
struct ServingParts: Sendable {
  /// Verifications that may be under way at once. At 25 µs each on one core, the last of them waits for 26 ms.
  static let poolCells = 1024

  let settings: GatewaySettings
  let judge: Judge
  let pool: VerificationPool
  /// One an issuer, in the order of the settings and the judge.
  let bells: [UnknownKidBell]
  let keyWaitPlaces = KeyWaitPlaces()
  let shared: SharedCounters
  let log: Log
}

/// What the control thread tells a loop.
enum LoopMessage: Sendable {
  /// Judge by these keys from now on, at most one set an issuer.
  case keys([KeySet])
  /// A fetch of an issuer's keys that its bell has promised has ended, or will not come. Follows `keys`, where it brought
  /// new ones.
  case fetchEnded(issuer: Int, end: UInt64)
  /// Accept from now on: the first keys are there, or could not be had.
  case accept
  /// Stop accepting, answer what is in flight, say so when that is done.
  case drain
}
