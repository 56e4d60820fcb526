// Limits hold exactly: the last size that fits is accepted, one more is refused.

import HTTPSyntax
import Testing

@Suite struct LimitTests {
  @Test(arguments: [(127, HeadOutcome.complete), (128, .refused(.tooManyFieldLines))])
  func `a head has at most 128 header lines`(more: Int, outcome: HeadOutcome) {
    let text = "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "a: b\r\n", count: more) + "\r\n"
    #expect(verdict(Array(text.utf8)) == outcome)
    #expect(Judged(text).fields.count == (outcome == .complete ? 128 : 0))
  }

  // 26 bytes of the head stand around the target, 4 of them before it.
  private static let targets: [(Int, HeadOutcome)] = [
    (8193, .complete), (32_742, .complete), (32_743, .refused(.headTooLarge)), (32_763, .refused(.headTooLarge)),
    (32_764, .refused(.targetTooLong)), (32_769, .refused(.targetTooLong)), (100_000, .refused(.targetTooLong)),
  ]

  @Test(arguments: targets)
  func `a target is bounded by the head alone, and is too long where it takes all of it`(
    length: Int, outcome: HeadOutcome
  ) {
    let target = "/" + String(repeating: "a", count: length - 1)
    let bytes = Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    #expect(verdict(bytes) == outcome)
    #expect(verdictInPieces(bytes, cuts: [1, 4, 5, 8000, length, length + 5]) == outcome)
    // Without its end a target that is too long is refused at once, and one that fits is waited for.
    let isRefusedAtOnce = outcome == .refused(.targetTooLong)
    #expect(verdict(Array("GET \(target)".utf8)) == (isRefusedAtOnce ? outcome : .incomplete))
  }

  @Test(arguments: 30...60)
  func `a head has at most maxHeadBytes, and the limit refuses without waiting for more`(limit: Int) {
    let limits = HeadLimits(maxHeadBytes: limit)
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX: 1234567890123456\r\n\r\n".utf8)
    let expected: HeadOutcome = bytes.count <= limit ? .complete : .refused(.headTooLarge)
    #expect(verdict(bytes, limits: limits) == expected)
    #expect(verdictInPieces(bytes, cuts: 1..<bytes.count, limits: limits) == expected)
    let cut = Array(bytes.prefix(min(limit, bytes.count - 1)))
    #expect(verdict(cut, limits: limits) == (cut.count == limit ? .refused(.headTooLarge) : .incomplete))
  }

  @Test func `the default limit is 32 KiB, pipelined bytes not counted`() {
    let start = "GET / HTTP/1.1\r\nHost: a\r\nX: "
    let fill = 32_768 - start.utf8.count - 4
    let fits = start + String(repeating: "x", count: fill) + "\r\n\r\n"
    #expect(verdict(Array(fits.utf8)) == .complete)
    #expect(verdict(Array((fits + fits).utf8)) == .complete)
    let over = start + String(repeating: "x", count: fill + 1) + "\r\n\r\n"
    #expect(verdict(Array(over.utf8)) == .refused(.headTooLarge))
    #expect(verdictInPieces(Array(over.utf8), cuts: []) == .refused(.headTooLarge))
  }

  @Test func `limits out of range are brought into it`() {
    let low = HeadLimits(maxHeadBytes: -1, maxFieldLines: -7)
    #expect(low == HeadLimits(maxHeadBytes: 1, maxFieldLines: 0))
    let high = HeadLimits(maxHeadBytes: .max, maxFieldLines: .max)
    #expect(high == HeadLimits(maxHeadBytes: 16_777_216, maxFieldLines: 128))
    #expect(verdict(Array(usualHead.utf8), limits: low) == .refused(.headTooLarge))
    #expect(verdict(Array(usualHead.utf8), limits: high) == .complete)
  }
}
