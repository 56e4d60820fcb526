// The bounds over all loops of a process, on connections and on half-received heads, and how a loop at a bound finds the
// connection that makes room, on whichever loop it is. Nothing is closed here: each loop closes its own.

import EventLoops
import POSIX
import Synchronization

/// Counts connections over all the loops of a process against one bound.
///
/// At the bound a connection that lingers behind its last reply, or else the one that has been idle for longest, over all
/// loops, gives its place to a new one. Each loop tells the others how many such connections it has and since when (two plain stores, no lock); a loop that needs a
/// place of another's claims it there and wakes that loop. The new connection is served meanwhile, so for a turn of a
/// loop there may be one connection more than the bound for each claim. A claim that finds nobody idle any more is
/// paid by the next connection that becomes idle there.
public final class ConnectionBudget: Sendable {
  public let limit: Int
  /// Bytes of half-received heads.
  public let partialLimit: Int
  private let open = Atomic<Int>(0)
  private let turnedAway = Atomic<Int>(0)
  private let staged = Atomic<Int>(0)
  private let stagedPeak = Atomic<Int>(0)
  private let ledgers = Locked<[IdleLedger]>([])

  /// - Parameters:
  ///   - limit: connections, at least 1.
  ///   - partialLimit: bytes that are kept of heads that have not ended; beyond them the connection that has waited for
  ///     the rest of its head for longest, on any loop, is refused.
  public init(limit: Int, partialLimit: Int = 64 << 20) {
    self.limit = limit
    self.partialLimit = partialLimit
  }

  /// Counts one in; false: that is one too many (it is counted all the same, `leave` takes it out).
  func enter() -> Bool { open.add(1, ordering: .relaxed).newValue <= limit }
  func leave() { open.subtract(1, ordering: .relaxed) }
  /// How many are open beyond the bound; 0 or less where there is room.
  var excess: Int { open.load(ordering: .relaxed) - limit }

  /// Takes one out that is refused; it lingers beside the bound until `refusedLeaves`.
  func refuse() {
    leave()
    turnedAway.add(1, ordering: .relaxed)
  }
  func refusedLeaves() { turnedAway.subtract(1, ordering: .relaxed) }
  var refused: Int { turnedAway.load(ordering: .relaxed) }

  /// Memory for half-received heads has grown by `bytes`, or shrunk where they are negative.
  func countStaged(_ bytes: Int) {
    let now = staged.add(bytes, ordering: .relaxed).newValue
    // Of two loops that raise it at once one may be forgotten: it is for a decision that needs no exactness.
    if now > stagedPeak.load(ordering: .relaxed) { stagedPeak.store(now, ordering: .relaxed) }
  }

  /// Bytes beyond the bound on half-received heads; 0 or less where there is room.
  var stagedExcess: Int { staged.load(ordering: .relaxed) - partialLimit }

  /// Bytes of half-received heads that have gone since the last call, at most: memory that the allocator may still keep.
  public func takeStagedFall() -> Int {
    let now = staged.load(ordering: .relaxed)
    return stagedPeak.exchange(now, ordering: .relaxed) - now
  }

  /// Each loop's server joins once, before it accepts.
  func join(_ ledger: IdleLedger) { ledgers.withLock { $0.append(ledger) } }
  func part(_ ledger: IdleLedger) { ledgers.withLock { $0.removeAll { $0 === ledger } } }

  /// Whose connection has been idle for longest; nil when no loop has an idle one that is not claimed already.
  func longestIdle() -> IdleLedger? {
    ledgers.withLock { ledgers in
      var found: IdleLedger?
      var since = Int64.max
      for ledger in ledgers where ledger.hasUnclaimed {
        let its = ledger.since.load(ordering: .relaxed)
        if found == nil || its < since {
          found = ledger
          since = its
        }
      }
      return found
    }
  }

  /// Whose connection has waited for the rest of its head for longest; nil when no loop has such a one.
  func longestPartial() -> IdleLedger? {
    ledgers.withLock { ledgers in
      var found: IdleLedger?
      var since = Int64.max
      for ledger in ledgers {
        let its = ledger.partialSince.load(ordering: .relaxed)
        if its < since {
          found = ledger
          since = its
        }
      }
      return found
    }
  }
}

/// What one loop tells the others of its idle connections. Written by its owner, but for `claimed`.
final class IdleLedger: Sendable {
  private let count = Atomic<Int>(0)
  /// `Clock.monotonicMilliseconds` since which the longest idle one is idle.
  let since = Atomic<Int64>(.max)
  /// The same for the connection that has waited for the rest of its head for longest.
  let partialSince = Atomic<Int64>(.max)
  private let claimed = Atomic<Int>(0)
  let wakeUp: WakeUp

  init() throws(SystemError) { wakeUp = try WakeUp() }

  /// From any thread. Two loops may see the same last one and both claim it: see `ConnectionBudget`.
  var hasUnclaimed: Bool { count.load(ordering: .relaxed) > claimed.load(ordering: .relaxed) }

  /// From the owner's thread.
  func publish(count: Int, since: Int64) {
    self.count.store(count, ordering: .relaxed)
    self.since.store(since, ordering: .relaxed)
  }

  /// From another loop: the owner is to close its longest idle connection.
  func claim() {
    claimed.add(1, ordering: .relaxed)
    wakeUp.notify()
  }

  /// From the owner's thread: how many others wait for.
  func takeClaims() -> Int { claimed.exchange(0, ordering: .relaxed) }
}
