// How long a fetch lives, and how it ends: against a listening socket of this process.

import EventLoops
import Glibc
import POSIX
import Testing

@testable import HTTPFetch

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
    weak var ended: Fetch?
    ended = try Fetch(target, on: loop, deadline: 20) { _ in loop.stop() }
    #expect(ended != nil)
    loop.run()
    #expect(ended == nil)

    var answers = 0
    weak var cancelled: Fetch?
    cancelled = try Fetch(target, on: loop, deadline: 20) { _ in answers += 1 }
    let end = LoopTimer(on: loop) { loop.stop() }
    let cancel = LoopTimer(on: loop) { cancelled?.cancel() }
    cancel.fireSoon()
    end.schedule(afterMilliseconds: 60)
    loop.run()
    #expect(cancelled == nil && answers == 0, "nothing is called after that, not even by the deadline")
  }

  @Test func `a completion may cancel the fetch that calls it`() throws {
    let (socket, target) = try silence()
    defer { close(socket.descriptor) }
    let loop = try EventLoop()
    var answers = 0
    weak var fetch: Fetch?
    fetch = try Fetch(target, on: loop, deadline: 20) { _ in
      answers += 1
      fetch?.cancel()
      loop.stop()
    }
    loop.run()
    #expect(answers == 1 && fetch == nil)
  }
}
