// Requests that wait for a verification, in a chain for each of the pool's cells. Cells of the list are reused: nothing
// is allocated once as many have waited at the same time as ever will.

import EventLoops
import HTTPServing
import POSIX

/// A request that waits.
struct WaitingRequest {
  let exchange: Exchange
  /// `Clock.monotonicNanoseconds` of its arrival.
  let arrival: UInt64
  /// It was the first to ask for this verification.
  let ownsCell: Bool
  let details: RequestDetails

  init(_ exchange: Exchange, _ arrival: UInt64, ownsCell: Bool, _ details: RequestDetails) {
    self.exchange = exchange
    self.arrival = arrival
    self.ownsCell = ownsCell
    self.details = details
  }
}

struct WaitingRequests {
  private struct Link {
    var request: WaitingRequest
    var next: Int
  }

  private var first: [Int]
  private var links: [Link] = []
  private var free = -1

  /// - Parameter cells: how many cells the pool has.
  init(cells: Int) { first = Array(repeating: -1, count: cells) }

  mutating func add(to cell: Int, _ request: WaitingRequest) {
    let place: Int
    if free >= 0 {
      place = free
      free = links[place].next
      links[place] = Link(request: request, next: first[cell])
    } else {
      place = links.count
      links.append(Link(request: request, next: first[cell]))
    }
    first[cell] = place
  }

  /// Takes a request that waits for `cell`; nil when none is left.
  mutating func takeNext(of cell: Int) -> WaitingRequest? {
    let place = first[cell]
    guard place >= 0 else { return nil }
    first[cell] = links[place].next
    links[place].next = free
    free = place
    return links[place].request
  }
}
