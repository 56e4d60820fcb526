// One loop's thread: its server, its handler, its ears for the pool and for the control thread.

import Authorization
import EventLoops
import ForwardAuth
import HTTPFetch
import HTTPServing
import POSIX
import TLS
import Telemetry
import Verification

/// Runs on its own thread from `start` to the process's end; the control thread holds its mailbox only.
enum ServingLoop {
  /// - Parameters:
  ///   - sockets: this loop's own; it owns them from here on, and accepts on them when it is told to.
  ///   - isSecure: beside `sockets`: whether their connections begin with a TLS handshake.
  ///   - certificate: what those are met with at first; others come by mailbox.
  ///   - snapshot: what to judge by at first; others come by mailbox.
  ///   - mailbox: what the control thread posts to.
  ///   - poolWakeUp: notified by the pool.
  ///   - accepting: called on the loop's thread when it accepts on all sockets.
  ///   - drained: called on the loop's thread when a drain is done.
  ///   - failed: called on the loop's thread when it could not be set up.
  static func start(
    number: Int, parts: ServingParts, sockets: [ListenSocket], isSecure: [Bool], certificate: TLSServerContext?,
    limits: ServerLimits, budget: ConnectionBudget,
    counters: LoopCounters, snapshot: Snapshot, mailbox: Mailbox<LoopMessage>, poolWakeUp: WakeUp,
    accepting: @escaping @Sendable () -> Void, drained: @escaping @Sendable () -> Void,
    failed: @escaping @Sendable (SystemError) -> Void
  ) throws(SystemError) {
    try LoopThread.start("loop-\(number)") {
      do throws(SystemError) {
        let loop = try EventLoop()
        let handler = ForwardAuthHandler(number: number, parts: parts, counters: counters, snapshot: snapshot)
        let server = try HTTPServer(on: loop, limits: limits, budget: budget, handler: handler)
        server.certificate = certificate
        let ears = [
          poolWakeUp.attach(to: loop) { handler.settleFinished(through: server) },
          mailbox.attach(to: loop) { message in
            switch message {
            case .snapshot(let snapshot): handler.use(snapshot)
            case .fetchEnded(let issuer, let end): handler.fetchEnded(issuer: issuer, end: end, through: server)
            case .certificate(let certificate): server.certificate = certificate
            case .accept:
              do throws(SystemError) {
                for (socket, isSecure) in zip(sockets, isSecure) {
                  try server.accept(on: socket, isSecure: isSecure)
                }
                accepting()
              } catch {
                failed(error)
              }
            case .drain(let acceptingFor): server.drain(acceptingFor: acceptingFor, drained)
            }
          },
        ]
        let keyWaitTimer = LoopTimer(on: loop) { handler.endKeyWaits(through: server) }
        handler.keyWaitTimer = keyWaitTimer
        let sweep = CacheSweep(of: handler, on: loop)
        withExtendedLifetime((ears, server, keyWaitTimer, sweep)) { loop.run() }
      } catch {
        failed(error)
      }
    }
  }
}

/// Gives back the memory of tokens whose time is over, one chunk a call, with room for requests between two. Thread: the
/// loop's.
private final class CacheSweep {
  private static let pauseBetweenChunks: Int64 = 10
  private static let pauseBetweenRounds: Int64 = 5000
  private var timer: LoopTimer?

  init(of handler: ForwardAuthHandler, on loop: EventLoop) {
    timer = LoopTimer(on: loop) { [unowned self] in
      let hasMore = handler.releaseExpired()
      timer?.schedule(afterMilliseconds: hasMore ? Self.pauseBetweenChunks : Self.pauseBetweenRounds)
    }
    timer?.schedule(afterMilliseconds: Self.pauseBetweenRounds)
  }
}
