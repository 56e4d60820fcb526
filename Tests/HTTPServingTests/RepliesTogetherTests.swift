// Replies that leave together at the end of a turn: each client gets its own, in that very turn, whatever else happens in
// it.

import Foundation
import HTTPSyntax
import EventLoops
import POSIX
import Testing

@testable import HTTPServing

@Suite struct RepliesTogetherTests {
  /// One turn, and what each client has got in it.
  private func turn(_ house: ServerHarness, _ clients: [TestClient]) -> [String] {
    let before = clients.map(\.received.count)
    house.loop.turn()
    for client in clients { client.receive() }
    return zip(clients, before).map { client, count in String(client.received.dropFirst(count)) }
  }

  /// Not more than 32: so many events libevent takes in one turn at first.
  @Test(arguments: [1, 2, 7, 8, 9, 16, 32])
  func `clients that ask at once have their own replies in one turn`(count: Int) throws {
    let house = try ServerHarness()
    let clients = try (0..<count).map { _ in try house.connect() }
    for round in 0..<3 {
      for (number, client) in clients.enumerated() { client.send(get("/\(round)/\(number)")) }
      for (number, reply) in turn(house, clients).enumerated() {
        #expect(reply.hasSuffix("\r\n\r\n/\(round)/\(number)"), "client \(number)")
      }
    }
    try house.end()
  }

  @Test func `large replies and small ones, whole and in order`() throws {
    let house = try ServerHarness()
    house.handler.padding = 5_000
    let clients = try (0..<20).map { _ in try house.connect() }
    for (number, client) in clients.enumerated() { client.send(get("/\(number)/")) }
    for (number, reply) in turn(house, clients).enumerated() {
      #expect(reply.hasSuffix("\r\n\r\n/\(number)/" + String(repeating: ".", count: 5_000)), "client \(number)")
    }
    try house.end()
  }

  @Test func `beside clients that pipeline, send nonsense, half a head, or have left`() throws {
    let house = try ServerHarness()
    let clients = try (0..<24).map { _ in try house.connect() }
    for (number, client) in clients.enumerated() {
      switch number % 6 {
      case 1: client.send(get("/\(number)") + get("/\(number)/second"))
      case 2: client.send("nonsense\r\n\r\n")
      case 3: client.send("GET /\(number) HT")
      case 4:
        client.send(get("/\(number)"))
        client.reset()
      case 5: client.send(get("/\(number)", "Connection: close"))
      default: client.send(get("/\(number)"))
      }
    }
    _ = turn(house, clients.filter { $0.descriptor >= 0 })
    for (number, client) in clients.enumerated() where number % 6 == 3 { client.send("TP/1.1\r\nHost: a\r\n\r\n") }
    try house.turn(until: "all have their replies") {
      for client in clients where client.descriptor >= 0 { client.receive() }
      return clients.enumerated().allSatisfy { number, client in
        number % 6 == 4 || client.replies == (number % 6 == 1 ? 2 : 1)
      }
    }
    for (number, client) in clients.enumerated() {
      switch number % 6 {
      case 0, 3, 5: #expect(client.received.hasSuffix("\r\n\r\n/\(number)"), "client \(number)")
      case 1: #expect(client.received.hasSuffix("\r\n\r\n/\(number)/second"), "client \(number)")
      case 2: #expect(client.received.contains(" 400 "), "client \(number)")
      default: break
      }
    }
    try house.end()
  }

  @Test func `a request that waited is answered while replies are due`() throws {
    let house = try ServerHarness()
    let waiting = try house.connect()
    waiting.send(get("/wait"))
    try house.turn(until: "on hold") { house.handler.held.count == 1 }
    let clients = try (0..<5).map { _ in try house.connect() }
    // A timer that is due runs in the same turn, behind what was read and before the replies leave.
    var dueThen = -1
    let timer = LoopTimer(on: house.loop) {
      dueThen = house.server.scratch.due.count
      house.server.finish(house.handler.held.removeLast()) { reply in
        reply.status = 200
        reply.append(body: Array("late".utf8))
      }
    }
    for (number, client) in clients.enumerated() { client.send(get("/\(number)")) }
    timer.schedule(afterMilliseconds: 0)
    usleep(2000)
    for (number, reply) in turn(house, clients).enumerated() {
      #expect(reply.hasSuffix("\r\n\r\n/\(number)"), "client \(number)")
    }
    #expect(dueThen == 5)
    waiting.receive()
    #expect(waiting.received.hasSuffix("\r\n\r\nlate"))
    try house.end()
  }

  @Test func `clients that have half-closed get what they asked for behind a request that waited`() throws {
    let house = try ServerHarness()
    let clients = try (0..<6).map { _ in try house.connect() }
    for (number, client) in clients.enumerated() {
      client.send(get("/wait") + get("/\(number)"))
      client.finish()
    }
    try house.turn(until: "on hold") { house.handler.held.count == clients.count }
    for _ in 0..<5 { house.loop.turn() }
    for exchange in house.handler.held { house.server.finish(exchange) { $0.status = 200 } }
    house.handler.held = []
    try house.turn(until: "answered and closed") {
      for client in clients { client.receive() }
      return clients.allSatisfy(\.hasEnded)
    }
    for (number, client) in clients.enumerated() {
      #expect(client.replies == 2, "client \(number)")
      #expect(client.received.hasSuffix("\r\n\r\n/\(number)"), "client \(number)")
    }
    try house.end()
  }

  @Test func `a drain that closes what is idle sends what is due before`() throws {
    var limits = ServerLimits()
    limits.drainGrace = 1
    let house = try ServerHarness(limits)
    let clients = try (0..<5).map { _ in try house.connect() }
    for client in clients { try house.ask(client, get("/first")) }
    house.server.drain {}
    usleep(3000)
    for (number, client) in clients.enumerated() { client.send(get("/\(number)", "X-A: b")) }
    _ = turn(house, clients)
    try house.turn(until: "answered and closed") {
      for client in clients { client.receive() }
      return clients.allSatisfy(\.hasEnded)
    }
    for (number, client) in clients.enumerated() {
      #expect(client.received.hasSuffix("\r\n\r\n/\(number)"), "client \(number)")
    }
    try house.end()
  }
}
