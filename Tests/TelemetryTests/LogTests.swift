// Log lines and the writer, through pipes.

import Foundation
import Glibc
import Telemetry
import Synchronization
import POSIX
import Testing

/// 2024-02-29T23:59:58.007Z
private let leapDay = Timestamp(seconds: 1_709_251_198, milliseconds: 7)

/// What a log wrote to a pipe, when all is flushed.
private func written(
  _ format: LogFormat, level: LogLevel = .debug, at time: Timestamp = leapDay, _ use: (Log) -> Void
) -> String {
  let pipe = Pipe()
  let log = Log(level: level, format: format, descriptor: pipe.fileHandleForWriting.fileDescriptor, now: { time })
  use(log)
  #expect(log.flush(milliseconds: 10_000))
  try? pipe.fileHandleForWriting.close()
  return String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
}

@Test func `a JSON line has time, level, event and fields in order`() {
  let line = written(.json) {
    $0.info(
      "keys_refreshed", ("keys", 2), ("took", 0.5), ("from", "https://a"), ("first", true), ("nan", .double(.nan)))
  }
  #expect(
    line
      == #"{"ts":"2024-02-29T23:59:58.007Z","level":"info","event":"keys_refreshed","keys":2,"took":0.5,"from":"https://a","first":true,"nan":null}"#
      + "\n")
}

@Test func `a text line quotes only what needs it`() {
  let line = written(.text) {
    $0.warning("start", ("a", "x:1/[::]"), ("b", "two words"), ("c", ""), ("d", "k=v"), ("n", -3))
  }
  #expect(line == #"2024-02-29T23:59:58.007Z warning start a=x:1/[::] b="two words" c="" d="k=v" n=-3"# + "\n")
}

@Test(arguments: [
  ("\n\r\t\"\\", #"\n\r\t\"\\"#), ("\u{0}\u{1b}[2J\u{7f}", #"\u0000\u001b[2J\u007f"#), ("é€", #"\u00e9\u20ac"#),
  ("😀", #"\ud83d\ude00"#), ("\u{2028}\u{202e}", #"\u2028\u202e"#),
]) func `values cannot end a line or drive a terminal`(_ value: String, _ escaped: String) throws {
  for format in [LogFormat.text, .json] {
    let line = written(format) { $0.info("e", ("v", .string(value))) }
    #expect(line.hasSuffix(format == .json ? #""v":"\#(escaped)"}"# + "\n" : #" v="\#(escaped)""# + "\n"))
    #expect(line.utf8.dropLast().allSatisfy { (0x20...0x7E).contains($0) })
  }
  let json = written(.json) { $0.info("e", ("v", .string(value))) }
  let object = try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
  #expect(object["v"] as? String == value)
}

@Test(arguments: [
  (String(repeating: "a", count: 256), String(repeating: "a", count: 256)),
  (String(repeating: "a", count: 257), String(repeating: "a", count: 256) + "..."),
  (String(repeating: "a", count: 255) + "é", String(repeating: "a", count: 255) + "..."),
]) func `a value is cut at 256 bytes, at a scalar, and marked`(_ value: String, _ cut: String) {
  #expect(written(.json) { $0.info("e", ("v", .string(value))) }.hasSuffix("\"v\":\"\(cut)\"}\n"))
}

@Test(arguments: [
  (0, "1970-01-01T00:00:00.000Z"), (951_782_400, "2000-02-29T00:00:00.000Z"), (951_868_800, "2000-03-01T00:00:00.000Z"),
  (1_767_225_599, "2025-12-31T23:59:59.000Z"), (1_767_225_600, "2026-01-01T00:00:00.000Z"),
  (4_107_542_400, "2100-03-01T00:00:00.000Z"), (253_402_300_799, "9999-12-31T23:59:59.000Z"),
]) func `times are RFC 3339`(_ seconds: Int, _ text: String) {
  let line = written(.text, at: Timestamp(seconds: seconds, milliseconds: 0)) { $0.info("e") }
  #expect(line == text + " info e\n")
}

@Test func `lines below the level are not written, and the level can change`() {
  let lines = written(.text, level: .warning) { log in
    #expect(!log.isEnabled(.info))
    #expect(log.isEnabled(.warning))
    log.info("no")
    log.warning("one")
    log.level = .debug
    log.debug("two")
    log.level = .error
    log.warning("no")
    log.error("three")
  }
  #expect(lines.split(separator: "\n").map { $0.split(separator: " ")[2] } == ["one", "two", "three"])
}

@Test(arguments: [false, true])
func `a blocked descriptor never blocks the caller, and the next line tells what was dropped`(_ nonBlocking: Bool)
  throws
{
  let pipe = Pipe()
  let reader = pipe.fileHandleForReading
  let writer = pipe.fileHandleForWriting.fileDescriptor
  if nonBlocking { #expect(fcntl(writer, F_SETFL, O_NONBLOCK) == 0) }
  // One page is the least that a pipe holds: about 20 of these lines.
  #expect(fcntl(writer, F_SETPIPE_SZ, 4096) >= 4096)
  let log = Log(level: .debug, format: .text, descriptor: writer, capacity: 8)
  let long = String(repeating: "x", count: 200)
  let count = 2000
  for number in 0..<count {
    log.info("line", ("number", .int(number)), ("filler", .string(long)))
  }
  #expect(!log.flush(milliseconds: 20))
  let dropped = log.droppedLines
  #expect(dropped > 0)
  let drained = Thread.detached { reader.readDataToEndOfFile() }
  #expect(log.flush(milliseconds: 10_000))
  log.info("last")
  #expect(log.flush(milliseconds: 10_000))
  try pipe.fileHandleForWriting.close()
  let lines = String(decoding: drained.value(), as: UTF8.self).split(separator: "\n")
  let numbers = lines.compactMap { line in
    line.contains(" line ") ? line.split(separator: " ")[3].dropFirst("number=".count) : nil
  }.compactMap { Int($0) }
  let reported = lines.filter { $0.contains(" warning log_lines_dropped ") }.compactMap { line in
    line.split(separator: "=").last.flatMap { Int($0) }
  }
  #expect(numbers.count + dropped == count)
  #expect(numbers == numbers.sorted())
  #expect(reported.reduce(0, +) == dropped)
  #expect(lines.last?.hasSuffix(" info last") == true)
}

@Test func `lines that the descriptor refuses are counted, and reported when it takes lines again`() throws {
  signal(SIGPIPE, SIG_IGN)
  var ends: [Int32] = [0, 0]
  #expect(unsafe pipe(&ends) == 0)
  close(ends[0])
  // The clock is read once a line and once a report: it shows whether the writer tries again and again.
  let clockReads = Mutex(0)
  let log = Log(
    level: .debug, format: .text, descriptor: ends[1],
    now: {
      clockReads.withLock { $0 += 1 }
      return leapDay
    })
  log.info("lost")
  #expect(log.flush(milliseconds: 10_000))
  log.info("lost")
  #expect(log.flush(milliseconds: 10_000))
  #expect(log.droppedLines == 2)
  usleep(20_000)
  #expect(clockReads.withLock { $0 } == 3)
  let pipe = Pipe()
  #expect(dup2(pipe.fileHandleForWriting.fileDescriptor, ends[1]) == ends[1])
  try pipe.fileHandleForWriting.close()
  log.info("kept")
  #expect(log.flush(milliseconds: 10_000))
  close(ends[1])
  let lines = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self).split(separator: "\n")
  #expect(lines.count == 2)
  #expect(lines.first?.hasSuffix(" info kept") == true)
  #expect(lines.last?.hasSuffix(" warning log_lines_dropped lines=2") == true)
}

@Test func `lines of many threads arrive whole`() {
  let lines = written(.text) { log in
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for number in 0..<100 { log.info("e", ("thread", .int(thread)), ("number", .int(number))) }
    }
  }.split(separator: "\n")
  #expect(lines.count == 800)
  #expect(Set(lines).count == 800)
}

@Test func `the rate limit lets a burst through, then so many a second, and counts the rest`() {
  var limit = RateLimit(perSecond: 10, burst: 3)
  #expect((0..<3).allSatisfy { _ in limit.admit(atMilliseconds: 1000) == .write(suppressed: 0) })
  #expect(limit.admit(atMilliseconds: 1000) == .suppress)
  #expect(limit.admit(atMilliseconds: 1099) == .suppress)
  #expect(limit.admit(atMilliseconds: 1100) == .write(suppressed: 2))
  #expect(limit.admit(atMilliseconds: 500) == .suppress)
  #expect(limit.takeSuppressed() == 1)
  #expect(limit.admit(atMilliseconds: 600) == .write(suppressed: 0))
  #expect((0..<4).map { _ in limit.admit(atMilliseconds: Int.max) }.filter { $0 == .suppress }.count == 1)
}

/// A value that another thread works out.
private final class Detached<Value: Sendable>: @unchecked Sendable {
  private let done = DispatchSemaphore(value: 0)
  private var result: Value?

  init(_ work: @escaping @Sendable () -> Value) {
    Thread.detachNewThread {
      self.result = work()
      self.done.signal()
    }
  }

  /// Waits for it; to be called once.
  func value() -> Value {
    done.wait()
    return result!
  }
}

extension Thread {
  fileprivate static func detached<Value: Sendable>(_ work: @escaping @Sendable () -> Value) -> Detached<Value> {
    Detached(work)
  }
}
