// What a fetch asks for.

import Testing

@testable import HTTPFetch

@Suite struct FetchTargetTests {
  @Test(
    arguments: [
      (true, "a.example", 443, "a.example"), (true, "a.example", 444, "a.example:444"),
      (true, "a.example", 80, "a.example:80"), (false, "::1", 80, "[::1]"), (false, "::1", 81, "[::1]:81"),
      (false, "localhost", 81, "localhost:81"), (false, "localhost", 443, "localhost:443"),
      (false, "unix:/run/a.sock", 80, "localhost"),
    ] as [(Bool, String, UInt16, String)])
  func `a fetch names host and port, an IPv6 address in brackets, the scheme's own port not`(
    _ isTLS: Bool, _ host: String, _ port: UInt16, _ field: String
  ) {
    #expect(FetchTarget(isTLS: isTLS, host: host, port: port, path: "/").authority == field)
  }
}
