// What libevent says, and how it ends the process, reaches the gateway's own log. Each in a process of its own: the
// callbacks are the process's.

import CEvent
import Foundation
import POSIX
import Testing

@testable import EventLoops

@Suite struct LibeventReportsTests {
  @Test func `libevent's last word is reported before the process ends`() async throws {
    let result = try await #require(
      processExitsWith: .exitCode(7), observing: [\.standardErrorContent]
    ) {
      LibeventReports.install(
        log: { severity, text in FileHandle.standardError.write(Data("said \(severity): \(text)\n".utf8)) },
        fatal: { code in
          FileHandle.standardError.write(Data("fatal \(code)\n".utf8))
          _exit(7)
        })
      let loop = try EventLoop()
      // One of libevent's own fatal errors: debugging must be asked for before the first loop.
      event_enable_debug_mode()
      withExtendedLifetime(loop) {}
    }
    let said = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(said.contains("said error: event_enable_debug_mode"))
    #expect(said.contains("fatal 1"))
  }

  @Test func `a fatal error ends the process though the receiver returns`() async {
    await #expect(processExitsWith: .exitCode(1)) {
      LibeventReports.install(log: { _, _ in }, fatal: { _ in })
      let loop = try EventLoop()
      event_enable_debug_mode()
      withExtendedLifetime(loop) {}
    }
  }
}
