// What stands on the wire in words: reason phrases of replies, the Host field of a fetch.

import HTTPSyntax
import Testing

@testable import EventHTTP

@Suite struct WireFormatTests {
  @Test func `every refusal's status has a reason phrase of its own`() {
    for refusal in Refusal.allCases {
      let phrase = "\(WireFormat.reason(UInt16(refusal.status)))"
      #expect(phrase != "Unknown")
      #expect(phrase.utf8.allSatisfy { 0x20...0x7E ~= $0 })
    }
    let statuses = Set(Refusal.allCases.map(\.status))
    #expect(Set(statuses.map { "\(WireFormat.reason(UInt16($0)))" }).count == statuses.count)
  }

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
