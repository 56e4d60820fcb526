// What a key source does with what happens to it: fetches, sets, clocks and timers are the test's own.

import DevIssuer
import EventLoops
import POSIX
import Telemetry
import Testing

@testable import IssuerKeys
@testable import Verification

private let issuer = "https://acme.cloudflareaccess.com"

/// Fires when the test says so.
private final class HandTimer: OneShotTimer {
  private let action: () -> Void
  private(set) var wait: Int64?

  init(_ action: @escaping () -> Void) { self.action = action }

  func schedule(afterMilliseconds milliseconds: Int64) { wait = milliseconds }
  func cancel() { wait = nil }

  func fire() {
    wait = nil
    action()
  }
}

/// The surroundings of one source. Its fetches end when the test says how.
private final class Stage {
  var now: Int64 = 1_000_000
  var wall = 1_800_000_000
  /// The source's own timer, then the file watch's.
  var timers: [HandTimer] = []
  /// Those that have not ended, oldest first.
  var fetches: [(Result<FetchedSet, KeyFetchFailure>) -> Void] = []
  var cancelled = 0
  var events: [KeySourceEvent] = []
  var mark: FileMark?
  let bell: UnknownKidBell
  private(set) var source: KeySource?

  init(watchesFile: Bool = false) throws {
    bell = UnknownKidBell(wake: {})
    let makeTimer = { [unowned self] (action: @escaping () -> Void) -> any OneShotTimer in
      let timer = HandTimer(action)
      timers.append(timer)
      return timer
    }
    let log = Log(level: .error, format: .text, descriptor: -1)
    source = KeySource(
      issuer: issuer, schedule: KeySchedule(refresh: 3_600_000, maxAge: 86_400_000), bell: bell,
      reports: KeyReports(log, issuer: issuer, source: "somewhere"), stateKeeper: nil,
      fileWatch: watchesFile ? KeyFileWatch(mark: { [unowned self] in mark }, makeTimer: makeTimer) : nil,
      dependencies: KeySource.Dependencies(
        now: { [unowned self] in now }, wallSeconds: { [unowned self] in wall }, random: { 0.5 }, makeTimer: makeTimer,
        fetch: { [unowned self] done in
          fetches.append(done)
          return { [weak self] in self?.cancelled += 1 }
        }),
      tell: { [unowned self] in events.append($0) })
  }

  /// Ends the oldest fetch.
  func end(_ result: Result<FetchedSet, KeyFetchFailure>) { fetches.removeFirst()(result) }

  /// The event of the last call or two.
  func takeEvents() -> [KeySourceEvent] {
    defer { events = [] }
    return events
  }

  func drop() { source = nil }
}

private let keysOfTeam: [SigningKey] = (0..<2).compactMap { _ in try? SigningKey.generate(.es256) }

private func fetched(_ keys: [SigningKey]) throws -> FetchedSet {
  let text = "{\"keys\":[\(try keys.map { try $0.jwk() }.joined(separator: ","))]}"
  let bytes = Array(text.utf8)
  return FetchedSet(set: try JWKSet.read(bytes.span, issuer: Array(issuer.utf8), algorithms: .es256), bytes: bytes)
}

private let refused = KeyFetchFailure(outcome: .connect, description: "connect: refused")

@Suite("What a key source does")
struct KeySourceTests {
  @Test func `a first good fetch publishes its set before it tells that the promised fetch has ended`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    #expect(stage.takeEvents() == [.fetchBegins])
    #expect(source.keys == nil && !source.history.hasTried)
    stage.end(.success(try fetched(keysOfTeam)))
    #expect(stage.takeEvents() == [.changed, .promisedFetchEnded(1)])
    #expect(source.keys?.count == 2 && source.fetchedAt == stage.wall && source.history.hasTried)
    #expect(stage.timers[0].wait == 3_600_000)
  }

  @Test func `a failure keeps the set that serves, and is tried again after a second`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    stage.end(.success(try fetched(keysOfTeam)))
    stage.now += 3_600_000
    stage.timers[0].fire()
    _ = stage.takeEvents()
    stage.end(.failure(refused))
    #expect(stage.takeEvents() == [.promisedFetchEnded(2)], "nothing changed for those that decide")
    #expect(source.keys?.count == 2)
    #expect(source.readiness.lastFailure == "connect: refused" && source.readiness.ageSeconds == 3600)
    #expect(source.figures.refreshes == [1, 0, 1, 0, 0, 0, 0, 0, 0])
    #expect(stage.timers[0].wait == 875)
    stage.now += 875
    stage.timers[0].fire()
    #expect(stage.takeEvents() == [.fetchBegins])
  }

  @Test func `a first failure is told, for waiting is over, and a second one is not`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    _ = stage.takeEvents()
    stage.end(.failure(refused))
    #expect(stage.takeEvents() == [.changed, .promisedFetchEnded(1)])
    #expect(source.keys == nil && source.history.hasTried)
    stage.now += 1_000
    stage.timers[0].fire()
    stage.end(.failure(refused))
    #expect(stage.takeEvents() == [.fetchBegins, .promisedFetchEnded(2)])
  }

  @Test func `a set that could not be refreshed for its longest age is no longer trusted`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    stage.end(.success(try fetched(keysOfTeam)))
    stage.now += 3_600_000
    stage.timers[0].fire()
    stage.end(.failure(refused))
    _ = stage.takeEvents()
    stage.now += 86_400_000 - 3_600_000 - 1
    stage.timers[0].fire()
    #expect(source.keys != nil)
    stage.end(.failure(refused))
    _ = stage.takeEvents()
    stage.now += 1
    stage.timers[0].fire()
    #expect(source.keys == nil && source.fetchedAt == nil)
    #expect(stage.takeEvents().first == .changed)
  }

  @Test func `a key keeps the time at which it was first seen, a new one gets its own`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    stage.end(.success(try fetched([keysOfTeam[0]])))
    let first = source.firstSeen
    stage.wall += 100
    source.hangUp()
    stage.end(.success(try fetched(keysOfTeam)))
    #expect(Set(source.firstSeen.values) == [stage.wall - 100, stage.wall])
    #expect(source.firstSeen.merging(first) { _, old in old } == source.firstSeen)
    #expect(source.keys?.generation == 2)
  }

  @Test func `unknown kids cause three fetches, and then none, which those that wait are told`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    stage.end(.success(try fetched(keysOfTeam)))
    _ = stage.takeEvents()
    for end in 2...4 as ClosedRange<UInt64> {
      source.unknownKid()
      #expect(stage.takeEvents() == [.fetchBegins])
      stage.end(.success(try fetched(keysOfTeam)))
      #expect(stage.takeEvents() == [.changed, .promisedFetchEnded(end)])
    }
    source.unknownKid()
    #expect(stage.takeEvents() == [.promisedFetchEnded(5)])
    #expect(stage.fetches.isEmpty)
    #expect(source.figures.unknownKidRefetches == 3 && source.figures.unknownKidRefetchesLimited == 1)
  }

  @Test func `a hang-up during a fetch causes one more when that has ended`() throws {
    let stage = try Stage()
    let source = try #require(stage.source)
    source.start()
    source.hangUp()
    source.hangUp()
    #expect(stage.fetches.count == 1)
    _ = stage.takeEvents()
    stage.end(.success(try fetched(keysOfTeam)))
    #expect(stage.takeEvents() == [.changed, .promisedFetchEnded(1), .fetchBegins])
    stage.end(.success(try fetched(keysOfTeam)))
    #expect(stage.fetches.isEmpty)
  }

  @Test func `a file that is another is read at the next look, and one that is the same is not`() throws {
    let stage = try Stage(watchesFile: true)
    let source = try #require(stage.source)
    let watch = stage.timers[0]
    source.start()
    stage.end(.success(try fetched(keysOfTeam)))
    #expect(watch.wait == 1_000)
    watch.fire()
    #expect(stage.fetches.isEmpty && watch.wait == 1_000)
    stage.mark = FileMark("/proc/self/exe")
    watch.fire()
    #expect(stage.fetches.count == 1)
    watch.fire()
    stage.end(.success(try fetched(keysOfTeam)))
    #expect(stage.fetches.isEmpty, "what was being read is the file of now")
  }

  @Test func `a source that goes cancels its fetch, and none that has ended`() throws {
    let stage = try Stage()
    stage.source?.start()
    stage.end(.failure(refused))
    stage.drop()
    #expect(stage.cancelled == 0)
    let other = try Stage()
    other.source?.start()
    other.drop()
    #expect(other.cancelled == 1)
  }
}
