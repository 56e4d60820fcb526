// What commands say outside of a log.

import Glibc

/// Writes a line to stderr; for commands, before or without a log.
package func printError(_ line: String) {
  _ = writeAll(Array((line + "\n").utf8), to: 2)
}

/// Hands what was printed on, when stdout is a pipe that somebody waits at.
package func flushOutput() {
  _ = fflush(nil)
}
