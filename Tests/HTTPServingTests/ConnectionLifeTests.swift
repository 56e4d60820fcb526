// The life of a connection in the gate's states: who may leave when, what is still answered, and that nothing is freed
// twice or used afterwards (the sanitizers watch).

import Foundation
import HTTPSyntax
import EventLoops
import POSIX
import Testing

@testable import HTTPServing

@Suite struct ConnectionLifeTests {
  enum Stage: CaseIterable { case silent, idle, partial, waiting, stuck, lingering }

  /// A connection in the given stage.
  private func client(_ stage: Stage, at house: ServerHarness) throws -> TestClient {
    let client = try house.connect()
    switch stage {
    case .silent: break
    case .idle: try house.ask(client, get("/a"))
    case .partial:
      try house.ask(client, get("/a"))
      client.send("GET /b HT")
      try house.turn(until: "staged") { house.server.deadlines.awaitingHead.count > house.server.silent.count }
    case .waiting:
      let before = house.handler.held.count
      client.send(get("/wait"))
      try house.turn(until: "on hold") { house.handler.held.count > before }
    case .stuck:
      house.handler.padding = 100_000
      while house.server.deadlines.writing.count == 0 {
        client.send(get("/a"))
        house.loop.turn()
      }
      house.handler.padding = 0
    case .lingering:
      try house.ask(client, "nonsense\r\n\r\n")
      try #require(house.server.deadlines.lingering.count > 0)
    }
    return client
  }

  @Test(arguments: Stage.allCases, ["close", "reset"])
  func `a client may leave at any stage`(stage: Stage, way: String) throws {
    let house = try ServerHarness()
    let client = try client(stage, at: house)
    if way == "reset" { client.reset() } else { client.close() }
    // A request on hold that was half-closed only is answered, and then the connection ends.
    if stage == .waiting {
      for _ in 0..<10 { house.loop.turn() }
      let wasThere = house.server.finish(house.handler.held.removeLast()) { $0.status = 200 }
      #expect(wasThere == (way == "close"))
    }
    try house.turn(until: "gone") { house.server.openConnections == 0 }
    try house.end()
  }

  @Test(arguments: Stage.allCases)
  func `a drain ends a connection at any stage`(stage: Stage) throws {
    var limits = ServerLimits()
    limits.drainGrace = 20
    limits.headTimeout = 100
    limits.writeTimeout = 100
    limits.lingerTimeout = 100
    let house = try ServerHarness(limits)
    let client = try client(stage, at: house)
    var isDone = false
    house.server.drain { isDone = true }
    if stage == .waiting {
      for _ in 0..<10 { house.loop.turn() }
      #expect(!isDone, "a request in flight is answered first")
      #expect(house.server.finish(house.handler.held.removeLast()) { $0.status = 200 })
    }
    try house.turn(until: "drained") { isDone }
    #expect(house.server.openConnections == 0)
    client.receive()
    if stage == .waiting { #expect(client.received.contains("Connection: close")) }
  }

  @Test func `a connection whose client leaves in the turn in which its place is claimed ends once`() throws {
    let budget = ConnectionBudget(limit: 8)
    let house = try ServerHarness(budget: budget)
    let beside = try ServerHarness(budget: budget)
    var idle: [TestClient] = []
    for _ in 0..<8 {
      let client = try house.connect()
      try house.ask(client, get("/a"))
      idle.append(client)
    }
    // The claim is ready in the kernel before the ends of the connections are: the loop meets it first.
    for _ in 0..<4 { _ = try beside.connect() }
    for client in idle { client.reset() }
    try house.turn(until: "gone") { house.server.openConnections == 0 }
    try house.end()
    try beside.end()
  }

  @Test func `half a close lets a waiting request be answered, and those behind it`() throws {
    let house = try ServerHarness()
    let client = try house.connect()
    client.send(get("/wait") + get("/second") + get("/third") + "GET /part")
    client.finish()
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    for _ in 0..<10 { house.loop.turn() }
    #expect(house.server.finish(house.handler.held.removeLast()) { $0.status = 200 })
    try house.turn(until: "the end") {
      client.receive()
      return client.hasEnded
    }
    #expect(client.replies == 3)
    #expect(client.received.contains("/second") && client.received.hasSuffix("/third"))
    try house.end()
  }

  @Test func `half a close with requests on hold one behind the other answers all of them`() throws {
    let house = try ServerHarness()
    let client = try house.connect()
    client.send(get("/wait") + get("/a") + get("/wait") + get("/b") + get("/wait"))
    client.finish()
    for _ in 0..<3 {
      try house.turn(until: "on hold") { house.handler.held.count == 1 }
      #expect(house.server.finish(house.handler.held.removeLast()) { $0.status = 200 })
    }
    try house.turn(until: "the end") {
      client.receive()
      return client.hasEnded
    }
    #expect(client.replies == 5)
    try house.end()
  }

  @Test func `pipelined requests keep their order around one that waits`() throws {
    let house = try ServerHarness()
    let client = try house.connect()
    client.send(get("/1") + get("/2") + get("/wait") + get("/3") + "nonsense\r\n\r\n" + get("/4"))
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    for _ in 0..<10 { house.loop.turn() }
    client.receive()
    #expect(client.replies == 2, "nothing overtakes the one that waits")
    house.server.finish(house.handler.held.removeLast()) {
      $0.status = 403
      $0.append(body: Array("waited".utf8))
    }
    try house.turn(until: "the end") {
      client.receive()
      return client.hasEnded
    }
    let order = ["200", "/1", "200", "/2", "403", "waited", "200", "/3", "400"]
    var rest = Substring(client.received)
    for word in order {
      let place = try #require(rest.range(of: word), "\(word) in \(rest)")
      rest = rest[place.upperBound...]
    }
    #expect(client.replies == 5 && !client.received.contains("/4"))
    try house.end()
  }

  @Test func `who pipelines waits for its turn, and nobody else for it`() throws {
    var limits = ServerLimits()
    limits.headsATurn = 4
    let house = try ServerHarness(limits)
    let greedy = try house.connect()
    let good = try house.connect()
    greedy.send((1...200).map { get("/greedy/\($0)") }.joined())
    house.loop.turn()
    #expect(house.handler.answered <= 1 + 4, "one head at once, and one turn's share")
    good.send(get("/good"))
    let before = house.handler.answered
    try house.turn(until: "the good one is answered") {
      good.receive()
      return good.replies == 1
    }
    #expect(house.handler.answered - before <= 1 + 3 * 4)
    try house.turn(until: "all are answered") {
      greedy.receive()
      return greedy.replies == 200
    }
    for number in 2...200 {
      let earlier = try #require(greedy.received.range(of: "/greedy/\(number - 1)"))
      #expect(greedy.received[earlier.upperBound...].contains("/greedy/\(number)"))
    }
    // Once it asks one thing at a time, it is like everyone else.
    greedy.send(get("/alone"))
    try house.turn(until: "read in its turn") { house.handler.answered == 202 }
    greedy.send(get("/alone"))
    house.loop.turn()
    #expect(house.handler.answered == 203)
    try house.end()
  }

  @Test func `those who pipeline take turns`() throws {
    var limits = ServerLimits()
    limits.headsATurn = 2
    let house = try ServerHarness(limits)
    let crowd = try (0..<5).map { _ in try house.connect() }
    for client in crowd { client.send((1...40).map { get("/\($0)") }.joined()) }
    try house.turn(until: "half is answered") { house.handler.answered >= 100 }
    for client in crowd {
      client.receive()
      #expect((15...25).contains(client.replies), "nobody is far ahead")
    }
    try house.turn(until: "all are answered") {
      for client in crowd { client.receive() }
      return crowd.allSatisfy { $0.replies == 40 }
    }
    try house.end()
  }

  @Test(arguments: [1, 3, 4, 5, 17]) func `a connection that ends while it waits for its turn`(heads: Int) throws {
    var limits = ServerLimits()
    limits.headsATurn = 2
    for ending in 0..<4 {
      let house = try ServerHarness(limits)
      let client = try house.connect()
      let text = (1...heads).map { get("/\($0)") }.joined()
      switch ending {
      case 0:
        client.send(text)
        client.finish()
      case 1:
        client.send(text + "GET /part")
        client.finish()
      case 2:
        client.send(text + "nonsense\r\n\r\n" + get("/unheard"))
      default:
        client.send(text)
        house.loop.turn()
        client.reset()
      }
      try house.turn(until: "the end") {
        if ending < 3 { client.receive() }
        return ending < 3 ? client.hasEnded : house.server.openConnections == 0
      }
      if ending < 3 { #expect(client.replies == heads + (ending == 2 ? 1 : 0), "ending \(ending)") }
      #expect(!client.received.contains("/unheard"))
      try house.end()
    }
  }

  @Test func `on drain, who waits for its turn is answered once and told to leave`() throws {
    let house = try ServerHarness()
    let client = try house.connect()
    client.send((1...100).map { get("/\($0)") }.joined())
    house.loop.turn()
    var isDrained = false
    house.server.drain { isDrained = true }
    try house.turn(until: "the end") {
      client.receive()
      if client.hasEnded { client.close() }
      return isDrained
    }
    #expect(client.received.components(separatedBy: "Connection: close").count == 2)
    #expect(client.replies < 100)
  }

  @Test func `deadlines that fall together all end, and nobody waits for all of them`() throws {
    var limits = ServerLimits()
    limits.headTimeout = 100
    limits.lingerTimeout = 100
    limits.expiriesATurn = 2
    let house = try ServerHarness(limits)
    let slow = try (0..<40).map { _ in try house.connect() }
    for client in slow { client.send("GET /half") }
    let good = try house.connect()
    try house.ask(good, get("/good"))
    var most = 0
    try house.turn(until: "all are refused") {
      let before = house.handler.refusals.count
      house.loop.turn()
      most = max(most, house.handler.refusals.count - before)
      for client in slow { client.receive() }
      return slow.allSatisfy { $0.received.hasPrefix("HTTP/1.1 408 ") }
    }
    #expect(house.handler.refusals.count == 40 && most <= 2)
    try house.turn(until: "all have ended") { house.server.openConnections == 1 }
    #expect(try house.ask(good, get("/good")).contains(" 200 "))
    try house.end()
  }

  @Test func `those who come get nothing of those who leave in the same turn`() throws {
    let house = try ServerHarness()
    for round in 0..<200 {
      let leaving = try house.connect()
      // Each in another state: new, with half a head, on hold, told to leave, between requests.
      switch round % 5 {
      case 0: break
      case 1: leaving.send("GET /half")
      case 2: leaving.send(get("/wait") + "GET /behind")
      case 3: leaving.send("nonsense\r\n\r\n")
      default: leaving.send(get("/before"))
      }
      house.loop.turn()
      if round % 3 == 0 { leaving.close() } else { leaving.reset() }
      let coming = try (0..<3).map { _ in try TestClient(house.port) }
      for client in coming { client.send(get("/new\(round)")) }
      try house.turn(until: "all are answered") {
        for client in coming { client.receive() }
        return coming.allSatisfy { $0.replies == 1 }
      }
      for client in coming {
        #expect(client.received.contains("/new\(round)") && !client.hasEnded)
        client.close()
      }
      for exchange in house.handler.held { house.server.finish(exchange) { $0.status = 200 } }
      house.handler.held = []
    }
    try house.end()
  }

  @Test func `a request is answered once, and its name is good once`() throws {
    let house = try ServerHarness()
    let first = try house.connect()
    first.send(get("/wait"))
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    let old = house.handler.held.removeLast()
    first.reset()
    try house.turn(until: "gone") { house.server.openConnections == 0 }
    #expect(!house.server.finish(old) { $0.status = 200 })

    // The next request takes the same cell: the old name must not answer it.
    let second = try house.connect()
    second.send(get("/wait"))
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    let new = house.handler.held.removeLast()
    #expect(new.index == old.index)
    #expect(!house.server.finish(old) { $0.status = 200 })
    for _ in 0..<10 { house.loop.turn() }
    second.receive()
    #expect(second.received == "")
    #expect(house.server.finish(new) { $0.status = 403 })
    #expect(!house.server.finish(new) { $0.status = 200 })
    try house.turn(until: "answered") {
      second.receive()
      return second.replies == 1
    }
    #expect(second.received.hasPrefix("HTTP/1.1 403"))
    try house.end()
  }

  @Test func `a client that reads no replies is kept no more than one batch of them`() throws {
    let house = try ServerHarness()
    house.handler.padding = 2000
    let client = try house.connect()
    let length = try house.ask(client, get("/a")).utf8.count
    let batch = String(repeating: get("/a"), count: 1500)
    for _ in 0..<200 where house.server.deadlines.writing.count == 0 {
      client.send(batch)
      for _ in 0..<10 { house.loop.turn() }
    }
    let stuck = try #require(house.server.deadlines.writing.first)
    for _ in 0..<20 {
      client.send(batch)
      house.loop.turn()
    }
    #expect(stuck.unsent.count <= house.server.limits.wireBytes + 4096)
    #expect(stuck.staged.count <= 64 * 1024)
    // Nor does the kernel: left to itself it would grow the socket's buffer to megabytes.
    var buffer: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    #expect(unsafe getsockopt(stuck.descriptor, SOL_SOCKET, SO_SNDBUF, &buffer, &size) == 0)
    #expect((1...262_144).contains(buffer))
    let answered = house.handler.answered
    // Once it reads, it gets them all, in whole.
    try house.turn(until: "read") {
      client.receive()
      return house.handler.answered > answered && house.server.deadlines.writing.count == 0
        && client.received.utf8.count == house.handler.answered * length
    }
    try house.end()
  }

  @Test func `a descriptor that is used again belongs to its new connection alone`() throws {
    let house = try ServerHarness()
    for round in 0..<300 {
      let client = try house.connect()
      switch round % 5 {
      case 0: client.send("GET /half")
      case 1: client.send(get("/wait"))
      case 2: try house.ask(client, get("/a"))
      case 3: try house.ask(client, "nonsense\r\n\r\n")
      default: break
      }
      if round % 2 == 0 { client.reset() } else { client.close() }
      let next = try house.connect()
      #expect(try house.ask(next, get("/next")).hasSuffix("/next"))
      next.close()
    }
    try house.end()
  }

  @Test func `deadlines end what does not go on`() throws {
    var limits = ServerLimits()
    limits.headTimeout = 60
    limits.idleTimeout = 60
    limits.writeTimeout = 60
    limits.lingerTimeout = 60
    for stage in Stage.allCases where stage != .waiting {
      let house = try ServerHarness(limits)
      let client = try client(stage, at: house)
      try house.turn(until: "closed at stage \(stage)") { house.server.openConnections == 0 }
      client.receive()
      #expect(client.received.contains(" 408 ") == (stage == .partial))
      try house.end()
    }
  }
}
