// The pool by its doors: what is queued comes back once to each loop that waits, equal tokens are verified once, a full
// pool says so. Real keys, real threads, no event loops.

import Dispatch
import DevIssuer
import Testing
import Token
import Verification

@Suite struct VerificationPoolTests {
  private let issuer: StandInIssuer
  private let keys: KeySet
  private let audience = Array("aud".utf8)

  init() throws {
    issuer = try StandInIssuer(issuer: "https://acme.cloudflareaccess.com")
    let bytes = try issuer.keySet()
    keys = KeySet(
      try JWKSet.read(bytes.span, issuer: Array(issuer.issuer.utf8), algorithms: .rs256), generation: 1)
  }

  private func token(_ email: String = "jo@example.com") throws -> [UInt8] {
    try issuer.userToken(audience: ["aud"], email: email, now: 1_700_000_000)
  }

  private func submit(
    _ token: [UInt8], to pool: VerificationPool, loop: Int = 0, standing: Standing = .proven, connection: UInt64 = 1
  ) throws -> Submission {
    var reader = TokenReader()
    try #require(reader.read(token.span) == nil)
    let signingInput = reader.signingInput.upperBound
    return reader.withSignature { signature in
      pool.submit(
        loop: loop, requester: Requester(connection: connection, peer: 0), standing: standing, token: token.span,
        audience: audience.span, signingInputCount: signingInput,
        signature: signature, key: keys.keys[0])
    }
  }

  /// Takes finished cells until `count` have come.
  private func finished(_ count: Int, of pool: VerificationPool, loop: Int, woken: DispatchSemaphore) -> [Int] {
    var all: [Int] = []
    var part: [Int] = []
    while all.count < count {
      guard woken.wait(timeout: .now() + 20) == .success else { return all }
      pool.takeFinished(loop: loop, into: &part)
      all += part
    }
    return all
  }

  @Test func `a good signature is genuine, a changed one is not`() throws {
    let woken = DispatchSemaphore(value: 0)
    let pool = VerificationPool(cells: 4, workers: 2, wake: [{ woken.signal() }])
    let good = try token()
    var bad = good
    bad[bad.count - 10] = bad[bad.count - 10] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
    var outcomes: [[UInt8]: Bool] = [:]
    for one in [good, bad] {
      guard case .queued = try submit(one, to: pool) else {
        Issue.record("not queued")
        return
      }
    }
    for cell in finished(2, of: pool, loop: 0, woken: woken) {
      outcomes[pool.finished(cell).token] = pool.finished(cell).isGenuine
      pool.release(cell, loop: 0)
    }
    #expect(outcomes == [good: true, bad: false])
  }

  @Test func `equal tokens of several loops are verified once and come back to each`() throws {
    let woken = (0..<3).map { _ in DispatchSemaphore(value: 0) }
    let pool = VerificationPool(cells: 1, workers: 1, wake: woken.map { one in { one.signal() } })
    // A pool of one cell: whatever is not joined would be refused as full.
    let one = try token()
    guard case .queued(let cell) = try submit(one, to: pool, loop: 0) else {
      Issue.record("not queued")
      return
    }
    // Whether the worker is done by now or not: a cell that was not given back is joined.
    for loop in 1..<3 { #expect(try submit(one, to: pool, loop: loop) == .joined(cell: cell)) }
    for loop in 0..<3 {
      #expect(finished(1, of: pool, loop: loop, woken: woken[loop]) == [cell])
      #expect(pool.finished(cell).isGenuine)
    }
    for loop in 0..<3 { pool.release(cell, loop: loop) }
    #expect(try submit(one, to: pool, loop: 1) == .queued(cell: cell))
    #expect(finished(1, of: pool, loop: 1, woken: woken[1]) == [cell])
  }

  @Test func `a verification that is finished and not given back is joined, by its loop and by others`() throws {
    let woken = (0..<2).map { _ in DispatchSemaphore(value: 0) }
    let pool = VerificationPool(cells: 1, workers: 1, wake: woken.map { one in { one.signal() } })
    let one = try token()
    guard case .queued(let cell) = try submit(one, to: pool, loop: 0) else {
      Issue.record("not queued")
      return
    }
    try #require(woken[0].wait(timeout: .now() + 20) == .success)
    // Loop 0 has been called and has not looked yet; loop 1 comes late.
    #expect(try submit(one, to: pool, loop: 0) == .joined(cell: cell))
    #expect(try submit(one, to: pool, loop: 1) == .joined(cell: cell))
    var list: [Int] = []
    pool.takeFinished(loop: 0, into: &list)
    #expect(list == [cell])
    #expect(finished(1, of: pool, loop: 1, woken: woken[1]) == [cell])
  }

  @Test func `a pool without a free cell says so, and takes more when one is given back`() throws {
    let woken = DispatchSemaphore(value: 0)
    let pool = VerificationPool(cells: 2, workers: 1, wake: [{ woken.signal() }])
    for email in ["a@x.y", "b@x.y"] {
      guard case .queued = try submit(try token(email), to: pool) else {
        Issue.record("not queued")
        return
      }
    }
    #expect(try submit(try token("c@x.y"), to: pool) == .full)
    for cell in finished(2, of: pool, loop: 0, woken: woken) { pool.release(cell, loop: 0) }
    guard case .queued = try submit(try token("c@x.y"), to: pool) else {
      Issue.record("no cell came back")
      return
    }
    #expect(finished(1, of: pool, loop: 0, woken: woken).count == 1)
  }

  @Test func `thousands of verifications through few cells lose none`() throws {
    let woken = DispatchSemaphore(value: 0)
    let pool = VerificationPool(cells: 8, workers: 2, wake: [{ woken.signal() }])
    let tokens = try (0..<16).map { try token("user\($0)@example.com") }
    // Requests that wait for a cell; the loop gets one cell for all of them.
    var waiting: [Int: Int] = [:]
    var answered = 0
    var part: [Int] = []
    func take() throws {
      try #require(woken.wait(timeout: .now() + 20) == .success)
      pool.takeFinished(loop: 0, into: &part)
      for cell in part {
        #expect(pool.finished(cell).isGenuine)
        let waiters = waiting.removeValue(forKey: cell)
        answered += try #require(waiters, "a cell that nobody waits for")
        pool.release(cell, loop: 0)
      }
    }
    for round in 0..<2_000 {
      while waiting.count >= 8 { try take() }
      switch try submit(tokens[round % 16], to: pool) {
      case .queued(let cell):
        #expect(waiting[cell] == nil)
        waiting[cell] = 1
      case .joined(let cell): waiting[cell] = try #require(waiting[cell], "joined to what was given back") + 1
      case .full: Issue.record("full with \(waiting.count) under way")
      }
    }
    while !waiting.isEmpty { try take() }
    #expect(answered == 2_000)
  }

  @Test func `failing connections never have more than their share of the cells, and others find the rest`() throws {
    let woken = DispatchSemaphore(value: 0)
    let pool = VerificationPool(cells: 8, workers: 1, wake: [{ woken.signal() }])
    func outcomes(_ standing: Standing, _ count: Int) throws -> Int {
      var queued = 0
      for number in 0..<count {
        let one = try token("\(standing)\(number)@x.y")
        // Finished cells stay taken: nobody takes them.
        if case .queued = try submit(one, to: pool, standing: standing, connection: UInt64(number)) { queued += 1 }
      }
      return queued
    }
    #expect(try outcomes(.failing, 8) == 4)
    #expect(try outcomes(.suspect, 8) == 2)
    #expect(try outcomes(.unknown, 8) == 1)
    #expect(try outcomes(.failing, 1) == 0)
    #expect(try outcomes(.proven, 8) == 1)
    for cell in finished(8, of: pool, loop: 0, woken: woken) { pool.release(cell, loop: 0) }
    #expect(try outcomes(.failing, 8) == 4)
  }

  @Test func `a loop takes a bounded number of finished cells, failing ones last, and is called for the rest`() throws {
    let woken = DispatchSemaphore(value: 0)
    let pool = VerificationPool(cells: 16, workers: 1, wake: [{ woken.signal() }])
    var failing: Set<Int> = []
    for number in 0..<10 {
      let standing: Standing = number < 5 ? .failing : .proven
      guard
        case .queued(let cell) = try submit(
          try token("\(number)@x.y"), to: pool, standing: standing, connection: UInt64(number))
      else {
        Issue.record("not queued")
        return
      }
      if standing == .failing { failing.insert(cell) }
    }
    // All ten are finished when a join of each finds it so; the calls of the pool until then are one or more.
    var taken: [Int] = []
    var part: [Int] = []
    var before = 0
    while taken.count < 10 {
      try #require(woken.wait(timeout: .now() + 20) == .success, "the loop is called as long as there is more")
      pool.takeFinished(loop: 0, most: 3, into: &part)
      #expect(part.count <= 3)
      if let place = part.firstIndex(where: failing.contains) {
        #expect(part[place...].allSatisfy(failing.contains), "in a part, failing ones are last")
      }
      taken += part
      before += 1
    }
    #expect(Set(taken).count == 10 && before >= 4)
    for cell in taken { pool.release(cell, loop: 0) }
  }
}
