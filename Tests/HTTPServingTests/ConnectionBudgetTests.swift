// At the bound on connections: who makes room, on which loop, and who is refused.

import HTTPSyntax
import EventLoops
import POSIX
import Testing

@testable import HTTPServing

@Suite struct ConnectionBudgetTests {
  @Test func `the longest idle connection makes room, whichever loop it is on`() throws {
    let budget = ConnectionBudget(limit: 4)
    let house = try ServerHarness(budget: budget)
    let beside = try ServerHarness(budget: budget)
    let oldest = try house.connect()
    try house.ask(oldest, get("/a"))
    try waitATick()
    let others = try (0..<3).map { _ in
      let client = try beside.connect()
      try beside.ask(client, get("/a"))
      return client
    }
    try waitATick()

    let new = try beside.connect()
    #expect(try beside.ask(new, get("/new")).hasSuffix("/new"))
    try house.turn(until: "the oldest is closed") {
      oldest.receive()
      return oldest.hasEnded
    }
    for other in others {
      other.receive()
      #expect(!other.hasEnded, "one made room, and that was enough")
    }
    #expect(budget.excess == 0)
    #expect(house.handler.refusals.isEmpty && beside.handler.refusals.isEmpty)
    try house.end()
    try beside.end()
  }

  @Test func `one that is silent since it was accepted makes room, too`() throws {
    let house = try ServerHarness(budget: ConnectionBudget(limit: 2))
    let silent = [try house.connect(), try house.connect()]
    let new = try house.connect()
    #expect(try house.ask(new, get("/new")).hasSuffix("/new"))
    silent[0].receive()
    #expect(silent[0].hasEnded)
    try house.end()
  }

  @Test func `of those that come together the first makes room for the last`() throws {
    let house = try ServerHarness(budget: ConnectionBudget(limit: 2))
    let clients = [try TestClient(house.port), try TestClient(house.port), try TestClient(house.port)]
    try house.turn(until: "accepted") { house.handler.opened == 3 }
    for _ in 0..<10 { house.loop.turn() }
    for client in clients { client.receive() }
    #expect(clients.map(\.hasEnded) == [true, false, false])
    for client in clients { client.close() }
    try house.end()
  }

  @Test func `when nobody is idle the new one gets 503 and a close`() throws {
    let house = try ServerHarness(budget: ConnectionBudget(limit: 2))
    for _ in 0..<2 {
      let busy = try house.connect()
      busy.send("GET /half")
    }
    try house.turn(until: "both are asking") { house.server.silent.count == 0 }
    let new = try house.connect()
    try house.turn(until: "refused") {
      new.receive()
      return new.hasEnded
    }
    #expect(new.received.hasPrefix("HTTP/1.1 503 ") && new.received.contains("Connection: close"))
    #expect(house.handler.refusals == [.tooManyConnections])
    try house.end()
  }

  @Test func `the refusal of one too many has the status and the lines that were asked for`() throws {
    var limits = ServerLimits()
    limits.fullStatus = 403
    limits.fullFieldLines = Array("Retry-After: 7\r\n".utf8)
    let house = try ServerHarness(limits, budget: ConnectionBudget(limit: 1))
    let busy = try house.connect()
    busy.send(get("/wait"))
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    let new = try house.connect()
    try house.turn(until: "refused") {
      new.receive()
      return new.hasEnded
    }
    #expect(new.received.hasPrefix("HTTP/1.1 403 ") && new.received.contains("\r\nRetry-After: 7\r\n"))
    try house.end()
  }

  @Test(arguments: [true, false])
  func `what lingers behind its last reply makes room first, on whichever loop it is`(here: Bool) throws {
    var limits = ServerLimits()
    limits.lingerTimeout = 60_000
    let budget = ConnectionBudget(limit: 2)
    let house = try ServerHarness(limits, budget: budget)
    let beside = try ServerHarness(limits, budget: budget)
    let idle = try house.connect()
    try house.ask(idle, get("/a"))
    try waitATick()
    let lingering = try house.connect()
    try house.ask(lingering, get("/last", "Connection: close"))
    try house.turn(until: "lingering") { house.server.deadlines.lingering.count == 1 }
    let other = here ? house : beside
    let new = try other.connect()
    #expect(try other.ask(new, get("/new")).hasSuffix("/new"))
    try house.turn(until: "gone") { house.server.deadlines.lingering.count == 0 && budget.excess <= 0 }
    idle.receive()
    #expect(!idle.hasEnded, "it may still ask")
    #expect(house.handler.refusals.isEmpty && beside.handler.refusals.isEmpty)
    try house.end()
    try beside.end()
  }

  @Test func `those that are refused make no room, however many there are`() throws {
    let budget = ConnectionBudget(limit: 2)
    var limits = ServerLimits()
    limits.lingerTimeout = 60_000
    let house = try ServerHarness(limits, budget: budget)
    for count in 1...2 {
      let busy = try house.connect()
      busy.send(get("/wait"))
      try house.turn(until: "on hold") { house.handler.held.count == count }
    }
    for count in 1...10 {
      _ = try house.connect()
      try house.turn(until: "refused") { house.handler.refusals.count == count }
    }
    #expect(budget.excess == 0 && budget.refused == 10)
    try house.end()
    #expect(budget.excess == -2 && budget.refused == 0)
  }

  @Test func `where the oldest makes room, half heads keep nobody out`() throws {
    var limits = ServerLimits()
    limits.oldestMakesRoom = true
    limits.headTimeout = 60_000
    let house = try ServerHarness(limits, budget: ConnectionBudget(limit: 4))
    var halves: [TestClient] = []
    for _ in 0..<4 {
      let half = try house.connect()
      half.send("GET /half")
      halves.append(half)
      try waitATick()
    }
    try house.turn(until: "all are asking") { house.server.silent.count == 0 }
    for round in 0..<3 {
      let probe = try house.connect()
      #expect(try house.ask(probe, get("/livez", "Connection: close")).hasSuffix("/livez"))
      probe.close()
      halves[round].receive()
      #expect(halves[round].hasEnded == (round == 0), "the oldest, and one is enough")
    }
    #expect(house.handler.refusals.isEmpty)
    try house.end()
  }

  @Test func `half heads beyond their bound go, the one that waits for longest first, on whichever loop it is`() throws
  {
    let budget = ConnectionBudget(limit: 100, partialLimit: 20_000)
    var limits = ServerLimits()
    limits.headTimeout = 60_000
    let house = try ServerHarness(limits, budget: budget)
    let beside = try ServerHarness(limits, budget: budget)
    let start = "GET /half HTTP/1.1\r\nHost: a\r\nX: "
    let half = start + String(repeating: "x", count: 5_000)
    func add(to house: ServerHarness) throws -> TestClient {
      let client = try house.connect()
      let before = house.server.partials.count
      let refusals = house.handler.refusals.count
      client.send(half)
      try house.turn(until: "staged") {
        house.server.partials.count > before || house.handler.refusals.count > refusals
      }
      try waitATick()
      return client
    }
    let oldest = try add(to: house)
    var others: [TestClient] = []
    while budget.stagedExcess <= 0 { others.append(try add(to: beside)) }
    try house.turn(until: "the oldest is refused") {
      oldest.receive()
      return oldest.hasEnded
    }
    #expect(oldest.received.hasPrefix("HTTP/1.1 503 ") && oldest.received.contains("Retry-After: 1\r\n"))
    #expect(house.handler.refusals == [.tooManyPartialHeads])
    #expect(budget.stagedExcess <= 0)
    for other in others {
      #expect(try beside.ask(other, "\r\n\r\n").hasSuffix("/half"), "all others are answered")
    }
    #expect(budget.stagedExcess == -20_000, "nothing is counted that is gone")
    #expect(budget.takeStagedFall() > 15_000)
    #expect(budget.takeStagedFall() == 0)
    try house.end()
    try beside.end()
  }

  @Test func `those that are refused linger, but not without bound`() throws {
    var limits = ServerLimits()
    limits.refusedAtOnce = 4
    limits.lingerTimeout = 60_000
    let house = try ServerHarness(limits, budget: ConnectionBudget(limit: 1))
    let busy = try house.connect()
    busy.send(get("/wait"))
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    for _ in 0..<20 { _ = try house.connect() }
    try house.turn(until: "settled") { house.server.openConnections <= 6 }
    #expect(house.handler.refusals.count == 20)
    try house.end()
  }

  @Test(arguments: ["/wait", "/at-once"])
  func `a claim that finds nobody idle is paid by the next that becomes idle`(target: String) throws {
    let budget = ConnectionBudget(limit: 1)
    let house = try ServerHarness(budget: budget)
    let beside = try ServerHarness(budget: budget)
    let old = try house.connect()
    try house.ask(old, get("/a"))
    // The claim is made while the old one is idle, and read when it has asked again.
    let new = try beside.connect()
    #expect(try beside.ask(new, get("/new")).hasSuffix("/new"))
    old.send(get(target))
    if target == "/wait" {
      try house.turn(until: "on hold") { house.handler.held.count == 1 }
      house.server.finish(house.handler.held.removeLast()) { $0.status = 200 }
    } else {
      try house.turn(until: "answered") { house.handler.answered == 2 }
    }
    try house.turn(until: "closed") { house.server.openConnections == 0 }
    #expect(budget.excess == 0)
    try house.end()
    try beside.end()
  }

  /// Until the coarse clock has moved on, so that one is idle for longer than another.
  private func waitATick() throws {
    let start = Clock.monotonicMilliseconds
    while Clock.monotonicMilliseconds < start + 10 {}
  }
}
