// What stands on the wire in words: reason phrases of replies, the Host field of a fetch.

import HTTPSyntax
import EventLoops
import POSIX
import Testing

@testable import HTTPServing

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
}
