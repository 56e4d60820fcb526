// What commands say outside of a log.

import Glibc

/// Writes a line to stderr; for commands, before or without a log.
package func printError(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  // Safe: write(2) only reads the array's bytes, during the call.
  _ = unsafe bytes.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}

/// Hands what was printed on, when stdout is a pipe that somebody waits at.
package func flushOutput() {
  _ = fflush(nil)
}
