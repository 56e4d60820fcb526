// One fetch for a command that waits for it: a loop of its own, run until the answer is there.

import EventHTTP

enum OneFetch {
  /// Fetches the key set; blocks for at most the fetch's own deadline (5 s).
  static func keys(by reader: KeySetReader) -> Result<FetchedSet, KeyFetchFailure> {
    run { loop, keep, done in reader.fetch(on: loop, keep: keep, done) }
      ?? .failure(KeyFetchFailure(outcome: .connect, description: "no event loop could be made"))
  }

  /// Asks once; blocks as long as that takes.
  ///
  /// - Parameter deadline: milliseconds for everything.
  static func response(
    from target: FetchTarget, deadline: Int64 = 5_000
  ) -> Result<FetchResponse, FetchFailure> {
    run { loop, keep, done in
      do throws(SystemError) {
        keep(try Fetch(target, on: loop, deadline: deadline) { done($0) })
      } catch {
        done(.failure(.connect(error.description)))
      }
    } ?? .failure(.connect("no event loop could be made"))
  }

  private static func run<Answer>(
    _ begin: (EventLoop, (Fetch) -> Void, @escaping (Answer) -> Void) -> Void
  ) -> Answer? {
    guard let loop = try? EventLoop() else { return nil }
    var answer: Answer?
    var kept: Fetch?
    begin(loop, { kept = $0 }) {
      answer = $0
      loop.stop()
    }
    // A file is read, and an error known, before the loop would run.
    if answer == nil { loop.run() }
    withExtendedLifetime(kept) {}
    return answer
  }
}
