// Counters and gauges of the whole process, away from the hot path: verification workers and the control thread write
// them with atomic additions.

import Synchronization

/// What the process counts outside its event loops. Any thread may call anything.
public final class SharedCounters: Sendable {
  let verificationsOK = Atomic<UInt64>(0)
  let verificationsFailed = Atomic<UInt64>(0)
  let poolOverloads = Atomic<UInt64>(0)
  let ready = Atomic<Bool>(false)

  public init() {}

  /// A signature was verified, with this result.
  public func countVerification(ok: Bool) {
    if ok {
      verificationsOK.wrappingAdd(1, ordering: .relaxed)
    } else {
      verificationsFailed.wrappingAdd(1, ordering: .relaxed)
    }
  }

  /// The verification pool was full.
  public func countPoolOverload() { poolOverloads.wrappingAdd(1, ordering: .relaxed) }

  /// Whether every issuer has a usable key set, every listener accepts connections, and none drains.
  public func setReady(_ isReady: Bool) { ready.store(isReady, ordering: .relaxed) }

  /// What was set last.
  public var isReady: Bool { ready.load(ordering: .relaxed) }
}
