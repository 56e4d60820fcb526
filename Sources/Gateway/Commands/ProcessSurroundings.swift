// What the commands take from the process around them: environment, CPUs, terminal, stderr. `unsafe` is here because
// each of these is a C call; nothing is decided here.

// `environ` is a C global: it is read before the program starts any thread, and nothing in it ever calls setenv.
@unsafe @preconcurrency import Glibc
import Settings

/// The environment, as it was when the program started. A variable that is no UTF-8 is repaired, and then refused by
/// whoever reads it.
func processEnvironment() -> [String: String] {
  var variables: [String: String] = [:]
  // Safe: environ is a list of NUL-terminated strings that ends with nil, and nobody changes it (above).
  var entry = unsafe environ
  while let text = unsafe entry.pointee {
    let pair = unsafe String(cString: text)
    // By bytes: as characters, a `=` and a combining mark behind it are one.
    if let equals = pair.utf8.firstIndex(of: UInt8(ascii: "=")) {
      variables[String(pair[..<equals])] = String(pair[pair.utf8.index(after: equals)...])
    }
    unsafe entry += 1
  }
  return variables
}

/// The machine's figures that defaults depend on.
func processSurroundings() -> Surroundings {
  Surroundings(cores: usableCores(), stderrIsTerminal: isatty(2) == 1)
}

/// CPUs that this process may run on, at least 1.
private func usableCores() -> Int {
  var set = cpu_set_t()
  // Safe: the call fills one cpu_set_t of this frame, whose size it is told.
  guard unsafe sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else {
    return max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1)
  }
  // Safe: reads the bytes of a plain C struct in its own frame.
  let count = unsafe withUnsafeBytes(of: &set) { unsafe $0.reduce(0) { $0 + $1.nonzeroBitCount } }
  return max(count, 1)
}

/// Writes a line to stderr; for commands, before or without a log.
func printError(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  // Safe: write(2) only reads the array's bytes, during the call.
  _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}

/// Hands what was printed on, when stdout is a pipe that somebody waits at.
func flushOutput() {
  _ = fflush(nil)
}

/// The working directory without a `/` at its end; empty if it cannot be told.
func workingDirectory() -> String {
  var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
  // Safe: getcwd writes at most the array's own count, with a NUL.
  let isKnown = unsafe buffer.withUnsafeMutableBufferPointer { unsafe getcwd($0.baseAddress, $0.count) != nil }
  guard isKnown, buffer.first == CChar(UInt8(ascii: "/")) else { return "" }
  let path = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return path == "/" ? "" : path
}
