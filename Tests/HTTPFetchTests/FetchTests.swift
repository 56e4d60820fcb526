// How long a fetch lives, and how it ends: against a listening socket of this process.

import EventLoops
import Glibc
import POSIX
import Testing

@testable import HTTPFetch

/// A fetch that is looked at and not kept.
private final class Seen {
  weak var fetch: Fetch?
  func see(_ fetch: Fetch) { self.fetch = fetch }
}

@Suite("A fetch in flight")
struct FetchTests {
  /// A loopback port that takes connections in and says nothing.
  private func silence() throws -> (socket: ListenSocket, target: FetchTarget) {
    let socket = try ListenSocket.open(.tcp(host: "127.0.0.1", port: 0))
    try socket.startListening()
    guard case .tcp(_, let port) = socket.address else { fatalError("no TCP socket") }
    return (socket, FetchTarget(isTLS: false, host: "127.0.0.1", port: port, path: "/"))
  }

  @Test func `a fetch that nobody holds answers all the same`() throws {
    let (socket, target) = try silence()
    defer { close(socket.descriptor) }
    let loop = try EventLoop()
    var answers: [Result<FetchResponse, FetchFailure>] = []
    try Fetch(target, on: loop, deadline: 50) {
      answers.append($0)
      loop.stop()
    }
    loop.run()
    #expect(answers.count == 1)
    if case .failure(.timeout) = answers.first {} else { Issue.record("\(answers)") }
  }

  @Test func `a fetch goes when it has ended, and when it is cancelled`() throws {
    let (socket, target) = try silence()
    defer { close(socket.descriptor) }
    let loop = try EventLoop()
    let ended = Seen()
    ended.see(try Fetch(target, on: loop, deadline: 20) { _ in loop.stop() })
    #expect(ended.fetch != nil)
    loop.run()
    #expect(ended.fetch == nil)

    var answers = 0
    let cancelled = Seen()
    cancelled.see(try Fetch(target, on: loop, deadline: 20) { _ in answers += 1 })
    let end = LoopTimer(on: loop) { loop.stop() }
    let cancel = LoopTimer(on: loop) { cancelled.fetch?.cancel() }
    cancel.fireSoon()
    end.schedule(afterMilliseconds: 60)
    loop.run()
    #expect(cancelled.fetch == nil && answers == 0, "nothing is called after that, not even by the deadline")
  }

  @Test func `a completion may cancel the fetch that calls it`() throws {
    let (socket, target) = try silence()
    defer { close(socket.descriptor) }
    let loop = try EventLoop()
    var answers = 0
    let seen = Seen()
    seen.see(
      try Fetch(target, on: loop, deadline: 20) { _ in
        answers += 1
        seen.fetch?.cancel()
        loop.stop()
      })
    loop.run()
    #expect(answers == 1 && seen.fetch == nil)
  }
}
