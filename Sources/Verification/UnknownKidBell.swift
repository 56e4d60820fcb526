// How a loop tells the control thread that a token named a `kid` that no key of its issuer has, and learns whether a fetch
// will show if it is a new one.

import POSIX
import Synchronization

/// What a ring leads to.
package enum FetchPromise: Equatable, Sendable {
  /// No fetch: the bucket is empty (`KeySchedule.unknownKid`).
  case none
  /// This ring causes a fetch, or meets another that has just done so; the number that its end will have.
  case begins(end: UInt64)
  /// A fetch is under way, which may have been answered before the key was published; the number that its end will have.
  case isUnderWay(end: UInt64)
}

/// One an issuer. Any number of rings are one wake-up, and while no fetch would follow there is none: a flood of unknown
/// kids costs the flooded loops next to nothing.
///
/// Each promised end is told once, by `KeySource.fetchEnded`, also where the promise could not be kept: whoever waits for
/// it waits for a number, so an end that was told before does not count.
package final class UnknownKidBell: Sendable {
  /// Twice the number of fetches that have ended, and one more while one is under way: both are read at once.
  private let fetches = Atomic<UInt64>(0)
  private let isRung = Atomic<Bool>(false)
  private let quietUntil = Atomic<Int64>(0)
  private let rings = Atomic<UInt64>(0)
  private let heldBack = Atomic<UInt64>(0)
  private let wake: @Sendable () -> Void

  /// - Parameter wake: tells the control thread to call ``hear()``; called from any loop, at most once until it has.
  package init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

  /// Tokens with an unknown `kid` so far.
  package var count: UInt64 { rings.load(ordering: .relaxed) }
  /// Those for which the limit held back a fetch.
  package var heldBackCount: UInt64 { heldBack.load(ordering: .relaxed) }

  /// A token has an unknown `kid`. From any loop.
  package func ring() -> FetchPromise {
    rings.wrappingAdd(1, ordering: .relaxed)
    return ask()
  }

  /// The same for a token that has rung before.
  package func ask() -> FetchPromise {
    let fetches = fetches.load(ordering: .acquiring)
    let end = fetches / 2 + 1
    if fetches % 2 == 1 { return .isUnderWay(end: end) }
    if Clock.monotonicMilliseconds < quietUntil.load(ordering: .relaxed) {
      countHeldBack()
      return .none
    }
    if !isRung.exchange(true, ordering: .acquiringAndReleasing) { wake() }
    return .begins(end: end)
  }

  /// The limit held back a fetch.
  package func countHeldBack() { heldBack.wrappingAdd(1, ordering: .relaxed) }

  /// From the control thread: rings before this time (monotonic milliseconds) could not cause a fetch.
  package func keepQuiet(until time: Int64) { quietUntil.store(time, ordering: .relaxed) }

  /// From the control thread: a fetch begins.
  package func fetchBegins() { fetches.wrappingAdd(1, ordering: .releasing) }

  /// From the control thread: the fetch has ended. Returns its number.
  package func fetchEnds() -> UInt64 { fetches.wrappingAdd(1, ordering: .releasing).newValue / 2 }

  /// From the control thread: a ring could not cause a fetch after all. Returns the number that it was promised.
  package func noFetch() -> UInt64 { fetches.wrappingAdd(2, ordering: .releasing).newValue / 2 }

  /// From the control thread, when it was woken: the next ring wakes it again.
  package func hear() { isRung.store(false, ordering: .releasing) }
}
