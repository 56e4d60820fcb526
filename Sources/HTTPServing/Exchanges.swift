// Requests that wait for their handler: which connection, which evhttp request, how the reply must look. Fixed cells,
// reused; a serial number tells an old name from a new one.

import CEvent
import EventLoops
import POSIX

/// What must be remembered of a head until its reply is known.
struct PendingReply {
  var closes: Bool
  var isOldKeepAlive: Bool
  var withBody: Bool
  /// The stream of HTTP/2 that waits; 0 over HTTP/1.
  var stream: Int32 = 0
}

struct ExchangeTable {
  @safe private struct Cell {
    var serial: UInt32 = 0
    var connection: Connection?
    var request: OpaquePointer?
    var pending = PendingReply(closes: true, isOldKeepAlive: false, withBody: false)
    var nextFree: Int32
  }

  private var cells: [Cell] = [unsafe Cell(nextFree: -1)]
  /// The name that the next exchange will have.
  private(set) var next = Exchange(index: 0, serial: 0)

  /// Takes the cell that `next` names.
  mutating func begin(_ connection: Connection, _ pending: PendingReply) {
    let index = Int(next.index)
    var firstFree = cells[index].nextFree
    if firstFree < 0 {
      firstFree = Int32(cells.count)
      cells.append(unsafe Cell(nextFree: -1))
    }
    next = Exchange(index: firstFree, serial: cells[Int(firstFree)].serial)
    cells[index].connection = connection
    unsafe cells[index].request = nil
    cells[index].pending = pending
  }

  /// evhttp's request for it has come.
  mutating func carry(_ index: Int32, _ request: OpaquePointer) {
    unsafe cells[Int(index)].request = request
  }

  mutating func requestIsGone(_ index: Int32) { unsafe cells[Int(index)].request = nil }

  mutating func connectionIsGone(_ index: Int32) { cells[Int(index)].connection = nil }

  /// The connection of an exchange that has not ended; nil too when it is gone.
  func connection(of exchange: Exchange) -> Connection? {
    let index = Int(exchange.index)
    guard cells.indices.contains(index), cells[index].serial == exchange.serial else { return nil }
    return cells[index].connection
  }

  /// Ends an exchange; nil when it has ended before.
  mutating func end(_ exchange: Exchange) -> (connection: Connection?, request: OpaquePointer?, pending: PendingReply)?
  {
    let index = Int(exchange.index)
    guard cells.indices.contains(index), cells[index].serial == exchange.serial else { return nil }
    let cell = cells[index]
    cells[index].serial &+= 1
    cells[index].connection = nil
    unsafe cells[index].request = nil
    cells[index].nextFree = next.index
    next = Exchange(index: exchange.index, serial: cells[index].serial)
    return unsafe (cell.connection, cell.request, cell.pending)
  }
}
