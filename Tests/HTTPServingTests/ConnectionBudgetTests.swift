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
