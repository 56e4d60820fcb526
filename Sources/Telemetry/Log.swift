// The log: lines go into a bounded queue, one thread writes them. What a line looks like is in LogLine.swift.
//
// Invariant: a caller never waits for the descriptor. It takes a lock that is held for a few instructions only, and
// where the queue is full the line is dropped and counted.

import Dispatch
import POSIX
import Synchronization

/// Writes log lines to a descriptor without ever making the caller wait for it. Any thread may call.
///
/// The process must ignore SIGPIPE, or a reader of stderr that goes away ends it.
public final class Log: Sendable {
  /// What the caller's side and the writer's share.
  private final class Shared: Sendable {
    struct State {
      /// Finished lines, oldest first, at most the capacity.
      var lines: [[UInt8]] = []
      /// Dropped and not yet reported.
      var dropped = 0
      /// Lines ever taken into the queue, and those of them that the writer is done with.
      var taken = 0
      var settled = 0
      var writerIsParked = false
      var isClosing = false
      var waiters: [(target: Int, wake: DispatchSemaphore)] = []
    }

    let state = Locked(State())
    let wakeWriter = DispatchSemaphore(value: 0)
    let droppedInAll = Atomic<Int>(0)
    let descriptor: Int32
    let format: LogFormat
    let now: @Sendable () -> Timestamp

    init(descriptor: Int32, format: LogFormat, now: @escaping @Sendable () -> Timestamp) {
      self.descriptor = descriptor
      self.format = format
      self.now = now
    }
  }

  private let shared: Shared
  private let capacity: Int
  private let threshold: Atomic<UInt8>

  /// Starts the writer, one Dispatch thread for the life of the log.
  ///
  /// - Parameters:
  ///   - level: lines below it are not written.
  ///   - descriptor: stays the caller's; standard error by default. It may block, or be non-blocking.
  ///   - capacity: lines that wait at most (at least 1), besides those being written.
  ///   - now: the clock of the lines' times.
  public init(
    level: LogLevel, format: LogFormat, descriptor: Int32 = 2, capacity: Int = 1024,
    now: @escaping @Sendable () -> Timestamp = Timestamp.now
  ) {
    let shared = Shared(descriptor: descriptor, format: format, now: now)
    self.shared = shared
    self.capacity = max(capacity, 1)
    threshold = Atomic(level.rawValue)
    DispatchQueue(label: "log").async { Log.write(for: shared) }
  }

  deinit {
    shared.state.withLock { $0.isClosing = true }
    shared.wakeWriter.signal()
  }

  /// The least important level that is written. May change at any time.
  public var level: LogLevel {
    get { LogLevel(rawValue: threshold.load(ordering: .relaxed)) ?? .info }
    set { threshold.store(newValue.rawValue, ordering: .relaxed) }
  }

  /// Whether lines of a level are written; a relaxed load, to be asked before fields are made.
  public func isEnabled(_ level: LogLevel) -> Bool {
    level.rawValue >= threshold.load(ordering: .relaxed)
  }

  /// Lines dropped so far: the queue was full, or the descriptor refused them.
  public var droppedLines: Int { shared.droppedInAll.load(ordering: .relaxed) }

  public func debug(_ event: StaticString, _ fields: (StaticString, LogValue)...) { line(.debug, event, fields) }
  public func info(_ event: StaticString, _ fields: (StaticString, LogValue)...) { line(.info, event, fields) }
  public func warning(_ event: StaticString, _ fields: (StaticString, LogValue)...) { line(.warning, event, fields) }
  public func error(_ event: StaticString, _ fields: (StaticString, LogValue)...) { line(.error, event, fields) }

  /// Queues one line if its level is enabled.
  ///
  /// - Parameters:
  ///   - event: a word in snake case; it and the keys are written as they are.
  ///   - fields: written in their order.
  public func line(_ level: LogLevel, _ event: StaticString, _ fields: [(StaticString, LogValue)]) {
    guard isEnabled(level) else { return }
    var line = LogLine(shared.format, shared.now(), level, event)
    for (key, value) in fields {
      line.add(key, value)
    }
    queue(line.finished())
  }

  /// Queues one line of the decision log: JSON whatever the format, and written whatever the level.
  package func decision(_ fields: [(StaticString, LogValue)]) {
    var line = LogLine(decisionAt: shared.now())
    for (key, value) in fields {
      line.add(key, value)
    }
    queue(line.finished())
  }

  private func queue(_ bytes: [UInt8]) {
    let wake = shared.state.withLock { state in
      guard state.lines.count < capacity else {
        state.dropped += 1
        shared.droppedInAll.wrappingAdd(1, ordering: .relaxed)
        return false
      }
      state.lines.append(bytes)
      state.taken += 1
      defer { state.writerIsParked = false }
      return state.writerIsParked
    }
    if wake { shared.wakeWriter.signal() }
  }

  /// Waits until all lines queued before the call are written, at most `milliseconds`.
  ///
  /// - Returns: whether they are.
  @discardableResult
  public func flush(milliseconds: Int) -> Bool {
    let done = DispatchSemaphore(value: 0)
    let isDone = shared.state.withLock { state in
      if state.settled == state.taken { return true }
      state.waiters.append((state.taken, done))
      return false
    }
    return isDone || done.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
  }

  /// What the writer does next.
  private enum Work {
    case write(lines: [[UInt8]], dropped: Int)
    case park
    case end
  }

  /// The writer's life: take all that waits, write it, park when nothing is left.
  private static func write(for shared: Shared) {
    var wasRefused = false
    while true {
      let work = shared.state.withLock { state -> Work in
        // After a refusal a report alone is no reason to try again, or the writer would spin on a closed descriptor.
        guard !state.lines.isEmpty || state.dropped > 0 && !wasRefused else {
          state.writerIsParked = !state.isClosing
          return state.isClosing ? .end : .park
        }
        defer {
          state.lines = []
          state.dropped = 0
        }
        return .write(lines: state.lines, dropped: state.dropped)
      }
      switch work {
      case .end:
        return
      case .park:
        shared.wakeWriter.wait()
      case .write(let lines, let dropped):
        wasRefused = !write(lines, dropped: dropped, for: shared)
      }
    }
  }

  /// Writes lines and the report of dropped ones, and settles them.
  ///
  /// - Returns: false if the descriptor refused; then all are counted as dropped, for the next report.
  private static func write(_ lines: [[UInt8]], dropped: Int, for shared: Shared) -> Bool {
    var bytes = Array(lines.joined())
    if dropped > 0 {
      // Lines are dropped only while the queue is full, so the report belongs right behind it.
      var report = LogLine(shared.format, shared.now(), .warning, "log_lines_dropped")
      report.add("lines", .int(dropped))
      bytes += report.finished()
    }
    let isWritten = writeAll(bytes, to: shared.descriptor)
    shared.state.withLock { state in
      if !isWritten {
        shared.droppedInAll.wrappingAdd(lines.count, ordering: .relaxed)
        state.dropped += lines.count + dropped
      }
      state.settled += lines.count
      for waiter in state.waiters where waiter.target <= state.settled { waiter.wake.signal() }
      state.waiters.removeAll { $0.target <= state.settled }
    }
    return isWritten
  }
}
