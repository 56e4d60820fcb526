// The time that connections are given: which of them wait for what, whose time is over, and the timer that asks.

import EventLoops
import POSIX

/// Deadlines of one server's connections. What an end of time means for a connection is the server's to say.
@safe final class Deadlines {
  let awaitingHead = ConnectionList<DeadlineLinks>()
  let idle = ConnectionList<DeadlineLinks>()
  let writing = ConnectionList<DeadlineLinks>()
  let lingering = ConnectionList<DeadlineLinks>()
  let refused = ConnectionList<DeadlineLinks>()
  private let limits: ServerLimits
  private let loop: EventLoop
  /// Called when the time of a connection is over; it must take the connection out of its list by `move`.
  var onEnd: ((Connection) -> Void)?
  private var timer: LoopTimer?
  private var due = Int64.max

  init(on loop: EventLoop, _ limits: ServerLimits) {
    self.loop = loop
    self.limits = limits
    timer = LoopTimer(on: loop) { [unowned self] in expire() }
  }

  /// When the connection that has been idle for longest became so; `.max` where there is none.
  var idleSince: Int64 { idle.first.map { $0.deadline - limits.idleTimeout } ?? .max }

  /// Gives a connection its time anew, or with nil as much as it takes.
  func move(_ connection: Connection, to allowance: Allowance?) {
    if let old = connection.allowance { list(of: old).remove(connection) }
    connection.allowance = allowance
    guard let allowance else { return }
    // Within one list all have the same time, so appending keeps the earliest deadline first.
    connection.deadline = loop.now + time(of: allowance)
    list(of: allowance).append(connection)
    if connection.deadline < due { schedule(at: connection.deadline) }
  }

  @inline(__always)
  private func list(of allowance: Allowance) -> ConnectionList<DeadlineLinks> {
    switch allowance {
    case .head: awaitingHead
    case .idle: idle
    case .writing: writing
    case .lingering: lingering
    case .refused: refused
    }
  }

  /// In milliseconds.
  func time(of allowance: Allowance) -> Int64 {
    switch allowance {
    case .head: limits.headTimeout
    case .idle: limits.idleTimeout
    case .writing: limits.writeTimeout
    case .lingering, .refused: limits.lingerTimeout
    }
  }

  private func schedule(at next: Int64) {
    due = next
    // Not more than 20 times a second, however many connections have deadlines.
    timer?.schedule(afterMilliseconds: max(50, next - loop.now))
  }

  /// Ends what is over, but not all in one turn: thousands of deadlines that fall together would keep requests waiting.
  private func expire() {
    let now = loop.now
    var left = limits.expiriesATurn
    for list in [awaitingHead, idle, writing, lingering, refused] {
      while left > 0, let connection = list.first, connection.deadline <= now {
        left -= 1
        onEnd?(connection)
      }
    }
    guard left > 0 else {
      // Earlier than any deadline to come, so that none puts the timer off.
      due = now
      timer?.schedule(afterMilliseconds: 0)
      return
    }
    due = .max
    let next = [awaitingHead, idle, writing, lingering, refused].compactMap { $0.first?.deadline }.min()
    if let next { schedule(at: next) }
  }
}
