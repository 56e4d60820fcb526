// How the control thread speaks to the loops.

import Authorization
import TLS

/// What the control thread tells a loop.
enum LoopMessage: Sendable {
  /// Judge by this from now on.
  case snapshot(Snapshot)
  /// A fetch of an issuer's keys that its bell has promised has ended, or will not come. Follows `snapshot`, where it brought
  /// new ones.
  case fetchEnded(issuer: Int, end: UInt64)
  /// Meet new TLS connections with this from now on.
  case certificate(TLSServerContext)
  /// Accept from now on: the first keys are there, or could not be had.
  case accept
  /// Stop accepting after so many milliseconds, answer what is in flight, say so when that is done.
  case drain(acceptingFor: Int64)
}
