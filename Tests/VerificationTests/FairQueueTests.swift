// The order of verifications, as a table of who came and who goes; and what is remembered of requesters.

import Seeding
import Testing

@testable import Verification

@Suite struct FairQueueTests {
  private func order(_ cells: [(standing: Standing, connection: UInt64)]) -> [Int] {
    var queue = FairQueue(cells: cells.count)
    for (number, cell) in cells.enumerated() { queue.append(number, cell.standing, connection: cell.connection) }
    var order: [Int] = []
    while let cell = queue.popFirst() { order.append(cell) }
    #expect(queue.count == 0)
    return order
  }

  @Test func `one connection's cells go in their order`() {
    #expect(order((0..<20).map { _ in (.unknown, 7) }) == Array(0..<20))
  }

  @Test func `connections take turns, however much one of them has asked before`() {
    let cells: [(Standing, UInt64)] =
      (0..<6).map { _ in (.unknown, 1) } + [(.unknown, 2), (.unknown, 3), (.unknown, 2)]
    #expect(order(cells) == [0, 6, 7, 1, 8, 2, 3, 4, 5])
  }

  @Test func `the better standing goes first`() {
    let cells: [(Standing, UInt64)] = [(.failing, 1), (.suspect, 2), (.unknown, 3), (.proven, 4)]
    #expect(order(cells) == [3, 2, 1, 0])
  }

  @Test func `a proven connection's cell waits for one other at most, behind a thousand failing ones`() {
    var queue = FairQueue(cells: 2000)
    for cell in 0..<1000 { queue.append(cell, .failing, connection: UInt64(cell)) }
    for round in 0..<100 {
      let own = 1000 + round
      queue.append(own, .proven, connection: 5)
      let first = queue.popFirst()
      if first != own {
        let second = queue.popFirst()
        #expect(second == own)
      }
    }
  }

  @Test func `the lowest standing gets an eighth while others never end`() {
    var queue = FairQueue(cells: 1000)
    for cell in 0..<100 { queue.append(cell, .failing, connection: UInt64(cell)) }
    for cell in 100..<1000 { queue.append(cell, .proven, connection: 1) }
    var failing = 0
    for _ in 0..<400 {
      if let cell = queue.popFirst(), cell < 100 { failing += 1 }
    }
    #expect(failing == 50)
  }

  @Test func `a queue that is filled and emptied at random loses nothing and doubles nothing`() {
    var generator = SeededGenerator.ofThisRun()
    var queue = FairQueue(cells: 300)
    var outside = Set(0..<300)
    for _ in 0..<20_000 {
      if Bool.random(using: &generator), let cell = outside.randomElement(using: &generator) {
        outside.remove(cell)
        queue.append(
          cell, Standing.allCases.randomElement(using: &generator)!,
          connection: UInt64.random(in: 0..<90, using: &generator))
      } else if let cell = queue.popFirst() {
        #expect(outside.insert(cell).inserted)
      } else {
        #expect(outside.count == 300)
      }
      #expect(queue.count == 300 - outside.count)
    }
  }
}
