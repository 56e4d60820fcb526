// How a loop tells the control thread that a token named a `kid` that no key of its issuer has.

import POSIX
import Synchronization

/// One an issuer. Any number of rings are one wake-up, and while no fetch would follow there is none: a flood of unknown
/// kids costs the flooded loops next to nothing.
package final class UnknownKidBell: Sendable {
  private let isRung = Atomic<Bool>(false)
  private let quietUntil = Atomic<Int64>(0)
  private let rings = Atomic<UInt64>(0)
  private let heldBack = Atomic<UInt64>(0)
  private let wakeUp: WakeUp

  package init() throws(SystemError) { wakeUp = try WakeUp() }

  /// Tokens with an unknown `kid` so far.
  package var count: UInt64 { rings.load(ordering: .relaxed) }
  /// Those for which the limit held back a fetch.
  package var heldBackCount: UInt64 { heldBack.load(ordering: .relaxed) }

  /// From any loop.
  package func ring() {
    rings.wrappingAdd(1, ordering: .relaxed)
    if Clock.monotonicMilliseconds < quietUntil.load(ordering: .relaxed) {
      countHeldBack()
    } else if !isRung.exchange(true, ordering: .relaxed) {
      wakeUp.notify()
    }
  }

  /// The limit held back a fetch.
  package func countHeldBack() { heldBack.wrappingAdd(1, ordering: .relaxed) }

  /// From the control thread: rings before this time (monotonic milliseconds) could not cause a fetch.
  package func keepQuiet(until time: Int64) { quietUntil.store(time, ordering: .relaxed) }

  /// `heard` runs on the loop's thread.
  package func attach(to loop: EventLoop, _ heard: @escaping () -> Void) -> WakeUp.Attachment {
    wakeUp.attach(to: loop) { [self] in
      isRung.store(false, ordering: .relaxed)
      heard()
    }
  }
}
