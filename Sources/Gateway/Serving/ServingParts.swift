// What the loops of one process share, and how the control thread speaks to them.

import EventHTTP
import Telemetry
import Settings
import Synchronization
import Token
import Verification
import VerificationPool

/// Made once at start; immutable, or safe from any thread.
struct ServingParts: Sendable {
  /// Verifications that may be under way at once. At 25 µs each on one core, the last of them waits for 26 ms.
  static let poolCells = 1024

  let settings: GatewaySettings
  let judge: Judge
  let pool: VerificationPool
  let bell: UnknownKidBell
  let shared: SharedCounters
  let log: Log
}

/// What the control thread tells a loop.
enum LoopMessage: Sendable {
  /// Judge by these keys from now on; nil: by none.
  case keys(KeySet?)
  /// Stop accepting, answer what is in flight, say so when that is done.
  case drain
}

/// Tells the control thread that a token named a `kid` that no key has. Any number of rings are one wake-up, and while
/// no fetch would follow there is none: a flood of unknown kids costs the flooded loops next to nothing.
final class UnknownKidBell: Sendable {
  private let isRung = Atomic<Bool>(false)
  private let quietUntil = Atomic<Int64>(0)
  private let wakeUp: WakeUp
  private let shared: SharedCounters

  init(_ shared: SharedCounters) throws(SystemError) {
    wakeUp = try WakeUp()
    self.shared = shared
  }

  /// From any loop.
  func ring() {
    if Clock.monotonicMilliseconds < quietUntil.load(ordering: .relaxed) {
      shared.countUnknownKidRefetchLimited()
    } else if !isRung.exchange(true, ordering: .relaxed) {
      wakeUp.notify()
    }
  }

  /// From the control thread: rings before this time (monotonic milliseconds) could not cause a fetch.
  func keepQuiet(until time: Int64) { quietUntil.store(time, ordering: .relaxed) }

  /// `heard` runs on the loop's thread.
  func attach(to loop: EventLoop, _ heard: @escaping () -> Void) -> WakeUp.Attachment {
    wakeUp.attach(to: loop) { [self] in
      isRung.store(false, ordering: .relaxed)
      heard()
    }
  }
}
