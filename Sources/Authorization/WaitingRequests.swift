// Requests that wait for a verification, in a chain for each of the pool's cells. Cells of the list are reused: nothing
// is allocated once as many have waited at the same time as ever will.

import POSIX

/// A request that waits for a cell.
struct WaitingRequest {
  let request: StoredRequest
  /// It was the first to ask for this verification.
  let ownsCell: Bool
}

struct WaitingRequests {
  private struct Link {
    var request: WaitingRequest?
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
    defer { links[place].request = nil }
    return links[place].request
  }
}

/// Numbers for requests that wait, each given out once at a time.
struct Tickets {
  private var free: [Int] = []
  private var count = 0

  mutating func take() -> Ticket {
    if let index = free.popLast() { return Ticket(index: index) }
    count += 1
    return Ticket(index: count - 1)
  }

  mutating func giveBack(_ ticket: Ticket) { free.append(ticket.index) }
}
