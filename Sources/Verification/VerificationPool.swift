// Signatures off the loops: a fixed number of cells, a fair queue of the cells that wait, workers parked on a semaphore.
// Nothing here grows, nothing here judges a token; a full pool says so at once.
//
// Invariant: a cell's bytes are written under the lock while the cell is free, and only read from then on until every
// loop that waits for it has let it go. So workers and loops read them without the lock.

import Dispatch
import POSIX

/// What became of a request for a verification.
public enum Submission: Equatable, Sendable {
  /// A worker will verify; the cell's number comes back by `takeFinished`.
  case queued(cell: Int)
  /// The same token under the same key is being verified already, or just has been, for this loop or another; as above.
  case joined(cell: Int)
  /// All cells that a requester of this standing may have are taken: answer `overloaded`.
  case full
}

/// Verifies signatures on parked Dispatch workers, equal ones once. Calls are for event loops: each passes its number
/// and is called back through its own wake-up. Thread-safe; nothing blocks but a short lock.
public final class VerificationPool: Sendable {
  private struct State: ~Copyable {
    var cells: [Cell]
    var free: [Int]
    /// Cells that wait for a worker.
    var queue: FairQueue
    /// Taken cells by the standing of those who asked for them first.
    var taken = [Int](repeating: 0, count: Standing.allCases.count)
    /// Workers that wait at the semaphore.
    var parked = 0
    /// First cell of each bucket of taken cells, by the hash of audience and token.
    var buckets: [Int]
    /// Finished cells that a loop has not taken yet: those of failing connections apart, which are settled last.
    var finished: [Finished]
    /// The keys in force, so that workers drop what they hold of others; `keysTurn` counts the changes.
    var keys: [KeySet] = []
    var keysTurn = 0
  }

  private struct Finished {
    var first: [Int] = []
    var last: [Int] = []
    var isEmpty: Bool { first.isEmpty && last.isEmpty }

    mutating func append(_ number: Int, _ standing: Standing) {
      if standing == .failing { last.append(number) } else { first.append(number) }
    }
  }

  private let state: Locked<State>
  private let work = DispatchSemaphore(value: 0)
  private let wake: [@Sendable () -> Void]
  private let cells: [Cell]
  private let tokenHash = TokenHash()

  /// Starts the workers, which live as long as the process.
  ///
  /// - Parameters:
  ///   - cells: verifications that may be under way at once, 1 or more. A cell takes memory when it is first used: the
  ///     token's length.
  ///   - workers: 1 or more.
  ///   - wake: one a loop (at most 64); called from a worker's thread when the loop has something to take.
  public init(cells count: Int, workers: Int, wake: [@Sendable () -> Void]) {
    precondition(count > 0 && workers > 0 && (1...64).contains(wake.count))
    let cells = (0..<count).map { _ in Cell() }
    var bucketCount = 64
    while bucketCount < count * 2 { bucketCount *= 2 }
    self.cells = cells
    self.wake = wake
    state = Locked(
      State(
        cells: cells, free: Array((0..<count).reversed()), queue: FairQueue(cells: count),
        buckets: Array(repeating: -1, count: bucketCount),
        finished: wake.map { _ in
          var lists = Finished()
          lists.first.reserveCapacity(count)
          lists.last.reserveCapacity(count)
          return lists
        }))
    for number in 0..<workers {
      // A serial queue each: Dispatch gives it a thread of its own, which stays.
      DispatchQueue(label: "verify-\(number)").async { [self] in work(as: number) }
    }
  }

  /// How many cells those of `standing`, together with all that stand behind them, may have of `count`: the rest is kept
  /// for those before them. Whoever knows a `kid`, an `iss` and an audience, which are all public, can have signatures
  /// verified; so failing connections get half of the pool, and an eighth is left to proven ones.
  static func share(of standing: Standing, among count: Int) -> Int {
    switch standing {
    case .proven: count
    case .unknown: count - count / 8
    case .suspect: count - count / 4
    case .failing: count - count / 2
    }
  }

  /// Asks for the verification of a token's signature.
  ///
  /// - Parameters:
  ///   - loop: the caller's number.
  ///   - requester: who asks; those of one connection take turns with those of others.
  ///   - standing: the place in the queue that it has earned (`Standings`), and its share of the pool.
  ///   - token: copied. Its first `signingInputCount` bytes are what was signed.
  ///   - audience: copied, for the loop to judge again by.
  ///   - signature: copied; decoded.
  public func submit(
    loop: Int, requester: Requester, standing: Standing, token: Span<UInt8>, audience: Span<UInt8>,
    signingInputCount: Int, signature: Span<UInt8>, key: VerificationKey
  ) -> Submission {
    let hash = tokenHash.ofAll(audience: audience, token: token)
    let (submission, toWake) = state.withLock { state -> (Submission, Waking) in
      let bucket = Self.bucket(of: hash, among: state.buckets.count)
      var number = state.buckets[bucket]
      while number >= 0 {
        let cell = state.cells[number]
        if cell.hash == hash, cell.holds(token: token, audience: audience, key: key) {
          let isWaiting = cell.waitingLoops & (1 << UInt64(loop)) != 0
          cell.waitingLoops |= 1 << UInt64(loop)
          // It is finished, but not given back: the outcome is as good for this loop, which may have missed its call.
          guard cell.isFinished, !isWaiting else { return (.joined(cell: number), .nobody) }
          state.finished[loop].append(number, cell.standing)
          return (.joined(cell: number), .caller)
        }
        number = cell.nextInBucket
      }
      let takenHereAndBehind = state.taken[standing.rawValue...].reduce(0, +)
      guard takenHereAndBehind < Self.share(of: standing, among: state.cells.count),
        let number = state.free.popLast()
      else { return (.full, .nobody) }
      let cell = state.cells[number]
      cell.fill(
        hash: hash, token: token, audience: audience, signingInputCount: signingInputCount, signature: signature,
        key: key)
      cell.waitingLoops = 1 << UInt64(loop)
      cell.standing = standing
      cell.nextInBucket = state.buckets[bucket]
      state.buckets[bucket] = number
      state.taken[standing.rawValue] += 1
      // Connections are numbered by their loop.
      state.queue.append(number, standing, connection: requester.connection &+ UInt64(loop))
      guard state.parked > 0 else { return (.queued(cell: number), .nobody) }
      state.parked -= 1
      return (.queued(cell: number), .worker)
    }
    switch toWake {
    case .nobody: break
    case .worker: work.signal()
    case .caller: wake[loop]()
    }
    return submission
  }

  private enum Waking { case nobody, worker, caller }

  /// Moves the numbers of cells that are finished for `loop` into `list`, which is emptied first: `most` at once, those
  /// of failing connections last. Each must be given back by `release`. The loop is called again for the rest.
  public func takeFinished(loop: Int, most: Int = .max, into list: inout [Int]) {
    list.removeAll(keepingCapacity: true)
    let isMoreLeft = state.withLock { state in
      Self.move(most, from: &state.finished[loop].first, to: &list)
      Self.move(most - list.count, from: &state.finished[loop].last, to: &list)
      return !state.finished[loop].isEmpty
    }
    if isMoreLeft { wake[loop]() }
  }

  /// Moves the first `most` of one list behind another; allocates nothing while the capacities last.
  private static func move(_ most: Int, from source: inout [Int], to list: inout [Int]) {
    let count = min(most, source.count)
    for place in 0..<count { list.append(source[place]) }
    source.removeFirst(count)
  }

  /// What a finished cell holds; good until `release`.
  public func finished(_ cell: Int) -> Cell { cells[cell] }

  /// The loop is done with a cell that it took.
  public func release(_ cell: Int, loop: Int) {
    state.withLock { state in
      let released = state.cells[cell]
      released.waitingLoops &= ~(1 << UInt64(loop))
      guard released.waitingLoops == 0 else { return }
      Self.unlink(cell, in: &state)
      released.erase()
      state.taken[released.standing.rawValue] -= 1
      state.free.append(cell)
    }
  }

  /// Nobody may join a cell any more.
  private static func unlink(_ number: Int, in state: inout State) {
    let cell = state.cells[number]
    let bucket = bucket(of: cell.hash, among: state.buckets.count)
    if state.buckets[bucket] == number {
      state.buckets[bucket] = cell.nextInBucket
    } else {
      var before = state.buckets[bucket]
      while state.cells[before].nextInBucket != number { before = state.cells[before].nextInBucket }
      state.cells[before].nextInBucket = cell.nextInBucket
    }
  }

  /// Workers hold on to contexts of these keys only, from their next verification on.
  public func use(_ keys: [KeySet]) {
    state.withLock { state in
      state.keys = keys
      state.keysTurn += 1
    }
  }

  private static func bucket(of hash: UInt64, among count: Int) -> Int { Int(truncatingIfNeeded: hash) & (count - 1) }

  // MARK: - Workers

  private func work(as number: Int) {
    guard var verifier = SignatureVerifier() else { fatalError("OpenSSL offers no SHA-2") }
    var knownTurn = 0
    while true {
      let next = state.withLock { state -> (cell: Int, newKeys: [KeySet]?)? in
        guard let cell = state.queue.popFirst() else {
          state.parked += 1
          return nil
        }
        guard state.keysTurn != knownTurn else { return (cell, nil) }
        knownTurn = state.keysTurn
        return (cell, state.keys)
      }
      guard let (next, newKeys) = next else {
        work.wait()
        continue
      }
      if let newKeys { verifier.keep(only: newKeys) }
      cells[next].verify(&verifier)
      complete(next)
    }
  }

  private func complete(_ number: Int) {
    let loopsToWake = state.withLock { state -> UInt64 in
      let cell = state.cells[number]
      cell.isFinished = true
      var toWake: UInt64 = 0
      for loop in state.finished.indices where cell.waitingLoops & (1 << UInt64(loop)) != 0 {
        if state.finished[loop].isEmpty { toWake |= 1 << UInt64(loop) }
        state.finished[loop].append(number, cell.standing)
      }
      return toWake
    }
    for loop in wake.indices where loopsToWake & (1 << UInt64(loop)) != 0 { wake[loop]() }
  }
}
