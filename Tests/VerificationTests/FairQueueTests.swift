// The order of verifications, as a table of who came and who goes; and what is remembered of requesters.

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
    var random = SystemRandomNumberGenerator()
    let seed = random.next()
    var generator = Generator(state: seed)
    var queue = FairQueue(cells: 300)
    var outside = Set(0..<300)
    for _ in 0..<20_000 {
      if Bool.random(using: &generator), let cell = outside.randomElement(using: &generator) {
        outside.remove(cell)
        queue.append(
          cell, Standing.allCases.randomElement(using: &generator)!,
          connection: UInt64.random(in: 0..<90, using: &generator))
      } else if let cell = queue.popFirst() {
        #expect(outside.insert(cell).inserted, "seed \(seed)")
      } else {
        #expect(outside.count == 300, "seed \(seed)")
      }
      #expect(queue.count == 300 - outside.count, "seed \(seed)")
    }
  }

  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ state >> 29
    }
  }
}

@Suite struct StandingsTests {
  private let one = Requester(connection: 1, peer: 10)

  @Test(
    arguments: [
      ([], .unknown), ([true], .proven), ([false], .failing), ([true, false], .failing),
      ([true, true, false], .proven),
      ([false, true, true], .proven),
    ] as [([Bool], Standing)])
  func `a connection stands by the majority of its outcomes`(_ outcomes: [Bool], _ standing: Standing) {
    var standings = Standings()
    for isGenuine in outcomes { standings.note(one, isGenuine: isGenuine, now: 100) }
    #expect(standings.standing(of: one, now: 100) == standing)
  }

  @Test func `a new connection of a failing peer is suspect, a proven one of the same peer is not`() {
    var standings = Standings()
    let good = Requester(connection: 2, peer: 10)
    standings.note(good, isGenuine: true, now: 100)
    for connection in 3..<50 as Range<UInt64> {
      standings.note(Requester(connection: connection, peer: 10), isGenuine: false, now: 100)
    }
    #expect(standings.standing(of: good, now: 100) == .proven)
    #expect(standings.standing(of: Requester(connection: 99, peer: 10), now: 100) == .suspect)
    #expect(standings.standing(of: Requester(connection: 99, peer: 11), now: 100) == .unknown)
    // Without an address nothing is held against it.
    #expect(standings.standing(of: Requester(connection: 99, peer: 0), now: 100) == .unknown)
  }

  @Test func `what failed is forgotten`() {
    var standings = Standings()
    for _ in 0..<1000 { standings.note(one, isGenuine: false, now: 100) }
    #expect(standings.standing(of: one, now: 130) == .failing)
    #expect(standings.standing(of: one, now: 190) == .unknown)
  }

  @Test func `three thousand failing connections are all known, and the good one among them`() {
    var standings = Standings()
    let good = Requester(connection: 1500, peer: 10)
    standings.note(good, isGenuine: true, now: 100)
    for connection in 1...3000 as ClosedRange<UInt64> where connection != 1500 {
      standings.note(Requester(connection: connection, peer: 10), isGenuine: false, now: 100)
    }
    var failing = 0
    for connection in 1...3000 as ClosedRange<UInt64> {
      let requester = Requester(connection: connection, peer: 10)
      if standings.standing(of: requester, now: 101) == .failing { failing += 1 }
    }
    #expect(standings.standing(of: good, now: 101) == .proven)
    #expect(failing > 2900)
  }
}
