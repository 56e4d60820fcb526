// The order in which cells are verified: by the standing of whoever asked, and within a standing by turns of
// connections. Pure; it knows numbers only. VerificationPool holds it under its lock.
//
// Invariant: a cell stands in at most one list. Each list that holds a cell stands once in the ring of its standing.

/// A queue of cells, fair by connection. Fixed in size, O(1), allocates nothing after `init`.
///
/// Lists are shared by connections whose numbers agree in their last bits (as in stochastic fairness queueing, McKenney
/// 1990): a crowd can't make one connection wait for longer than a round of the lists.
struct FairQueue {
  private static let lists = 64
  /// Each eighth cell comes from the lowest standing that waits, so that nobody is starved.
  private static let turnOfTheLast = 8

  /// By cell: the next one of its list.
  private var next: [Int32]
  // By standing and list.
  private var first: [Int32]
  private var last: [Int32]
  private var nextList: [Int32]
  // By standing: its ring of lists that hold cells.
  private var firstList: [Int32]
  private var lastList: [Int32]
  private var turn = 0
  private(set) var count = 0

  init(cells: Int) {
    let standings = Standing.allCases.count
    next = Array(repeating: -1, count: cells)
    first = Array(repeating: -1, count: standings * Self.lists)
    last = first
    nextList = first
    firstList = Array(repeating: -1, count: standings)
    lastList = firstList
  }

  /// Adds a cell that is in no list.
  mutating func append(_ cell: Int, _ standing: Standing, connection: UInt64) {
    let list = standing.rawValue * Self.lists + Int(truncatingIfNeeded: connection) & (Self.lists - 1)
    next[cell] = -1
    if first[list] < 0 {
      first[list] = Int32(cell)
      appendToRing(list, standing.rawValue)
    } else {
      next[Int(last[list])] = Int32(cell)
    }
    last[list] = Int32(cell)
    count += 1
  }

  /// Takes the cell whose turn it is; nil when none waits.
  mutating func popFirst() -> Int? {
    guard count > 0 else { return nil }
    turn = (turn + 1) % Self.turnOfTheLast
    let standings = Standing.allCases.count
    for step in 0..<standings {
      let standing = turn == 0 ? standings - 1 - step : step
      guard firstList[standing] >= 0 else { continue }
      let list = Int(firstList[standing])
      firstList[standing] = nextList[list]
      if firstList[standing] < 0 { lastList[standing] = -1 }
      let cell = Int(first[list])
      first[list] = next[cell]
      if first[list] >= 0 { appendToRing(list, standing) } else { last[list] = -1 }
      count -= 1
      return cell
    }
    return nil
  }

  private mutating func appendToRing(_ list: Int, _ standing: Int) {
    nextList[list] = -1
    if lastList[standing] >= 0 {
      nextList[Int(lastList[standing])] = Int32(list)
    } else {
      firstList[standing] = Int32(list)
    }
    lastList[standing] = Int32(list)
  }
}
