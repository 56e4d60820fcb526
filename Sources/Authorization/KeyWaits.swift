// Requests whose token names an unknown `kid` and that wait for the fetch which will tell: a new key, or none. Pure but
// for the places, which all loops share; who fetches and who answers is not decided here.

import Synchronization
import Verification

/// The places of all loops together. Any thread.
///
/// A bound, because whoever sends junk `kid`s could otherwise make us hold as many requests as they have connections.
package final class KeyWaitPlaces: Sendable {
  /// SPEC.md, "Keys".
  package static let count = 128
  private let left: Atomic<Int>

  package init(_ count: Int = count) { left = Atomic(count) }

  /// False: all are taken.
  func take() -> Bool {
    if left.wrappingSubtract(1, ordering: .relaxed).newValue >= 0 { return true }
    left.wrappingAdd(1, ordering: .relaxed)
    return false
  }

  func giveBack() { left.wrappingAdd(1, ordering: .relaxed) }
}

/// A request that waits for keys.
struct KeyWait {
  let request: StoredRequest
  /// The audience or application that it asked for.
  let segment: [UInt8]
  let token: [UInt8]
  /// Monotonic milliseconds: denied then.
  let deadline: Int64
  /// Ends of fetches that may bring the key, each with its issuer's place.
  fileprivate(set) var awaited: [(issuer: Int, end: UInt64)]
  /// A fetch was under way as it came, which may have been answered before the key was published: it may cause one more.
  fileprivate(set) var mayAskAgain: Bool
}

/// The waits of one loop, in the order of their coming, which is that of their deadlines.
struct KeyWaits {
  private var waits: [KeyWait] = []

  var isEmpty: Bool { waits.isEmpty }
  var count: Int { waits.count }
  /// The earliest deadline.
  var nextDeadline: Int64? { waits.first?.deadline }

  /// What a token may wait for, of what the bells of its possible issuers have said; nil: nothing.
  static func awaited(
    _ promises: [(issuer: Int, promise: FetchPromise)]
  ) -> (ends: [(issuer: Int, end: UInt64)], mayAskAgain: Bool)? {
    var ends: [(issuer: Int, end: UInt64)] = []
    var mayAskAgain = false
    for (issuer, promise) in promises {
      switch promise {
      case .none: break
      case .begins(let end): ends.append((issuer, end))
      case .isUnderWay(let end):
        ends.append((issuer, end))
        mayAskAgain = true
      }
    }
    return ends.isEmpty ? nil : (ends, mayAskAgain)
  }

  mutating func append(
    _ request: StoredRequest, segment: [UInt8], token: [UInt8], deadline: Int64,
    awaited: (ends: [(issuer: Int, end: UInt64)], mayAskAgain: Bool)
  ) {
    waits.append(
      KeyWait(
        request: request, segment: segment, token: token, deadline: deadline, awaited: awaited.ends,
        mayAskAgain: awaited.mayAskAgain))
  }

  /// Takes out all that were waiting for this end of a fetch, in their order. Whoever is to wait on goes back in by
  /// `putBack`.
  mutating func take(issuer: Int, end: UInt64) -> [KeyWait] {
    var taken: [KeyWait] = []
    waits.removeAll { wait in
      guard wait.awaited.contains(where: { $0.issuer == issuer && $0.end <= end }) else { return false }
      taken.append(wait)
      return true
    }
    for place in taken.indices { taken[place].awaited.removeAll { $0.issuer == issuer && $0.end <= end } }
    return taken
  }

  /// Takes out all whose time is over at `now`.
  mutating func takeExpired(at now: Int64) -> [KeyWait] {
    let expired = waits.prefix { $0.deadline <= now }
    waits.removeFirst(expired.count)
    return Array(expired)
  }

  /// A wait goes on: for other fetches that it still awaits, or for `again`, the answers to asking once more. False: there
  /// is nothing left to wait for.
  mutating func putBack(_ wait: KeyWait, again ask: () -> [(issuer: Int, promise: FetchPromise)]) -> Bool {
    var wait = wait
    if wait.awaited.isEmpty {
      guard wait.mayAskAgain, let more = Self.awaited(ask()) else { return false }
      wait.awaited = more.ends
      wait.mayAskAgain = false
    }
    // Deadlines stay in order.
    let place = waits.firstIndex { $0.deadline > wait.deadline } ?? waits.count
    waits.insert(wait, at: place)
    return true
  }
}
