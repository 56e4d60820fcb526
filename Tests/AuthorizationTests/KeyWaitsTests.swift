// Who waits for which fetch, and for how long: events as a script, no socket and no clock.

import Policy
import Testing

@testable import Authorization
@testable import Verification

@Suite struct KeyWaitsTests {
  private static func request(_ number: Int) -> StoredRequest {
    let request = AuthRequest(
      segment: 0..<0, target: .audience, assertion: .missing, requester: Requester(connection: 0, peer: 0))
    let nothing: [UInt8] = []
    return StoredRequest(Ticket(index: number), request, in: nothing.span)
  }

  private func add(
    _ number: Int, to waits: inout KeyWaits, deadline: Int64 = 2_000,
    _ promises: [(issuer: Int, promise: FetchPromise)]
  ) -> Bool {
    guard let awaited = KeyWaits.awaited(promises) else { return false }
    waits.append(
      Self.request(number), segment: [], token: [], deadline: deadline, awaited: awaited)
    return true
  }

  /// The numbers of those that are let go, in their order.
  private func taken(_ waits: inout KeyWaits, issuer: Int, end: UInt64) -> [Int] {
    waits.take(issuer: issuer, end: end).map(\.request.ticket.index)
  }

  private func expired(_ waits: inout KeyWaits, at now: Int64) -> [Int] {
    waits.takeExpired(at: now).map(\.request.ticket.index)
  }

  @Test func `without a promise nothing waits`() {
    var waits = KeyWaits()
    #expect(!add(1, to: &waits, [(0, .none)]))
    #expect(!add(1, to: &waits, [(0, .none), (1, .none)]))
    #expect(!add(1, to: &waits, []))
    #expect(waits.isEmpty)
  }

  @Test func `the promised end lets go, one before it and another issuer's do not`() {
    var waits = KeyWaits()
    #expect(add(1, to: &waits, [(0, .begins(end: 5))]))
    #expect(add(2, to: &waits, [(1, .begins(end: 5))]))
    #expect(taken(&waits, issuer: 0, end: 4) == [])
    #expect(taken(&waits, issuer: 0, end: 5) == [1])
    #expect(taken(&waits, issuer: 0, end: 6) == [])
    #expect(taken(&waits, issuer: 1, end: 9) == [2])
    #expect(waits.isEmpty)
  }

  @Test func `who has caused a fetch waits for that one alone, who has met one may ask once more`() {
    var waits = KeyWaits()
    _ = add(1, to: &waits, [(0, .begins(end: 1))])
    _ = add(2, to: &waits, [(0, .isUnderWay(end: 1))])
    let taken = waits.take(issuer: 0, end: 1)
    #expect(taken.count == 2)
    var asked = 0
    func again() -> [(issuer: Int, promise: FetchPromise)] {
      asked += 1
      return [(0, .begins(end: 2))]
    }
    let goesOn1 = waits.putBack(taken[0], again: again)
    #expect(!goesOn1)
    #expect(asked == 0)
    let goesOn2 = waits.putBack(taken[1], again: again)
    #expect(goesOn2)
    #expect(asked == 1)
    let last = waits.take(issuer: 0, end: 2)
    #expect(last.map(\.request.ticket.index) == [2])
    let goesOn3 = waits.putBack(last[0], again: again)
    #expect(!goesOn3)
    #expect(asked == 1)
  }

  @Test func `asking again in vain ends the wait`() {
    var waits = KeyWaits()
    _ = add(1, to: &waits, [(0, .isUnderWay(end: 1))])
    let taken = waits.take(issuer: 0, end: 1)
    let goesOn4 = waits.putBack(taken[0]) { [(0, .none)] }
    #expect(!goesOn4)
    #expect(waits.isEmpty)
  }

  @Test func `a token of no known issuer waits for the fetches of all`() {
    var waits = KeyWaits()
    _ = add(1, to: &waits, [(0, .begins(end: 1)), (1, .none), (2, .begins(end: 7))])
    let first = waits.take(issuer: 2, end: 7)
    #expect(first.count == 1)
    let goesOn5 = waits.putBack(first[0]) { [] }
    #expect(goesOn5)
    #expect(taken(&waits, issuer: 1, end: 100) == [])
    let second = waits.take(issuer: 0, end: 1)
    #expect(second.count == 1)
    let goesOn6 = waits.putBack(second[0]) { [] }
    #expect(!goesOn6)
  }

  @Test func `times end in order, also of those that were put back`() {
    var waits = KeyWaits()
    for number in 1...4 as ClosedRange<Int> {
      _ = add(number, to: &waits, deadline: Int64(number) * 100, [(number % 2, .isUnderWay(end: 1))])
    }
    let odd = waits.take(issuer: 1, end: 1)
    #expect(odd.map(\.request.ticket.index) == [1, 3])
    for wait in odd.reversed() {
      let goesOn = waits.putBack(wait) { [(1, .begins(end: 2))] }
      #expect(goesOn)
    }
    #expect(waits.nextDeadline == 100)
    #expect(expired(&waits, at: 299) == [1, 2])
    #expect(waits.nextDeadline == 300)
    #expect(expired(&waits, at: 400) == [3, 4])
    #expect(waits.nextDeadline == nil)
  }

  @Test func `places are as many as there are, and come back`() {
    let places = KeyWaitPlaces(2)
    #expect(places.take() && places.take() && !places.take() && !places.take())
    places.giveBack()
    #expect(places.take() && !places.take())
  }
}

@Suite struct UnknownKidBellTests {
  @Test func `a ring tells which end of a fetch will answer it`() throws {
    let bell = UnknownKidBell {}
    #expect(bell.ring() == .begins(end: 1))
    #expect(bell.ring() == .begins(end: 1), "the same fetch")
    bell.fetchBegins()
    #expect(bell.ring() == .isUnderWay(end: 1))
    #expect(bell.fetchEnds() == 1)
    #expect(bell.ring() == .begins(end: 2))
    #expect(bell.noFetch() == 2, "a promise that can't be kept ends, too")
    #expect(bell.ring() == .begins(end: 3))
    bell.keepQuiet(until: .max)
    #expect(bell.ring() == .none)
    #expect((bell.count, bell.heldBackCount) == (6, 1))
    bell.fetchBegins()
    #expect(bell.ask() == .isUnderWay(end: 3), "a fetch for another reason is met, whatever the bucket says")
    #expect(bell.count == 6, "asking again is no other token")
  }
}
