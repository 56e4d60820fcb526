// What the commands take from the process around them: environment, CPUs, terminal, stderr. `unsafe` is here because
// each of these is a C call; nothing is decided here.

import Glibc
import Settings

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

/// The working directory without a `/` at its end; empty if it cannot be told.
func workingDirectory() -> String {
  var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
  // Safe: getcwd writes at most the array's own count, with a NUL.
  let isKnown = unsafe buffer.withUnsafeMutableBufferPointer { unsafe getcwd($0.baseAddress, $0.count) != nil }
  guard isKnown, buffer.first == CChar(UInt8(ascii: "/")) else { return "" }
  let path = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  return path == "/" ? "" : path
}
