// One fetch for a command that waits for it: a loop of its own, run until the answer is there.

import EventLoops
import POSIX

package enum BlockingFetch {
  /// Asks once; blocks as long as that takes.
  ///
  /// - Parameter deadline: milliseconds for everything.
  package static func response(
    from target: FetchTarget, deadline: Int64 = 5_000
  ) -> Result<FetchResponse, FetchFailure> {
    run { loop, done in
      do throws(SystemError) {
        try Fetch(target, on: loop, deadline: deadline, completion: done)
      } catch {
        done(.failure(.connect(error.description)))
      }
    } ?? .failure(.connect("no event loop could be made"))
  }

  /// Runs a loop until `begin` has called back.
  ///
  /// - Parameter begin: starts a fetch on the loop, and calls the last argument once, inside its own call or on the loop.
  /// - Returns: nil when no loop could be made.
  package static func run<Answer>(_ begin: (EventLoop, @escaping (Answer) -> Void) -> Void) -> Answer? {
    guard let loop = try? EventLoop() else { return nil }
    var answer: Answer?
    begin(loop) {
      answer = $0
      loop.stop()
    }
    // A file is read, and an error known, before the loop would run.
    if answer == nil { loop.run() }
    return answer
  }
}
