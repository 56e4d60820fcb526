// How bytes arrive changes nothing: pieces, prefixes, mutations. And no bytes trap.

import HTTPSyntax
import Seeding
import Testing

@Suite struct ArrivalTests {
  static let heads = [
    usualHead,
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: y\nZ: z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: 123456789\u{0}12345\r\n\r\n",
    "GET / HTTP/1.1\r\nX: \ty\t \tz\t\r\n\r\n",
    "OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
  ]

  @Test(arguments: heads)
  func `a head split at any place is judged as in one piece`(text: String) {
    let bytes = Array(text.utf8)
    let whole = verdict(bytes)
    for cut in 0...bytes.count {
      #expect(verdictInPieces(bytes, cuts: [cut]) == whole, "cut at \(cut)")
    }
    #expect(verdictInPieces(bytes, cuts: 0...bytes.count) == whole)
  }

  @Test(arguments: heads)
  func `a verdict on a prefix is never taken back`(text: String) {
    let bytes = Array(text.utf8)
    let whole = verdict(bytes)
    for count in 0..<bytes.count {
      let outcome = verdict(Array(bytes.prefix(count)))
      #expect(outcome == .incomplete || outcome == whole, "after \(count) bytes")
    }
  }

  @Test func `a truncated head is never complete`() {
    let bytes = Array(usualHead.utf8)
    for count in 0..<bytes.count {
      #expect(verdict(Array(bytes.prefix(count))) == .incomplete, "after \(count) bytes")
      var scanner = HeadScanner()
      let cut = Array(bytes[..<count])
      #expect(scanner.scan(cut.span) == .incomplete)
    }
  }

  @Test(arguments: [
    "\r", "\n", "\u{0}", "\u{1B}[A", "\u{7F}", "GET /\u{0}", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: x\r-",
  ])
  func `a scan stops at once at a byte that no head holds`(text: String) {
    var scanner = HeadScanner()
    let bytes = Array(text.utf8)
    #expect(scanner.scan(bytes.span) == .ready)
    #expect(
      verdict(bytes)
        == .refused(text.contains("A:") ? .badFieldLine : text.contains("/\u{0}") ? .badTarget : .badRequestLine))
  }

  @Test func `a scan that has ended stays ended until it is assigned anew`() {
    let bytes = Array((usualHead + "GET").utf8)
    var scanner = HeadScanner()
    #expect(scanner.scan(bytes.span) == .ready)
    #expect(scanner.scan(bytes.span) == .ready)
    let nothing = [UInt8]()
    #expect(scanner.scan(nothing.span) == .ready)
    scanner = HeadScanner()
    #expect(scanner.scan(nothing.span) == .incomplete)
  }

  @Test func `twenty thousand mutated heads never trap, and every way of arrival agrees`() {
    var random = SeededGenerator(seed: 0x9E37_79B9)
    var complete = 0
    var refused = 0
    for round in 0..<20_000 {
      var bytes = Array(Self.heads[round % Self.heads.count].utf8)
      for _ in 0..<Int.random(in: 0...3, using: &random) { mutate(&bytes, &random) }
      let whole = Judged(bytes)
      let cut = Int.random(in: 0...bytes.count, using: &random)
      let inPieces = verdictInPieces(bytes, cuts: [cut])
      let accepted = referenceLength(bytes)
      switch whole.outcome {
      case .complete:
        complete += 1
        #expect(inPieces == .complete, "round \(round)")
        #expect(accepted == whole.length, "round \(round)")
      case .refused:
        refused += 1
        // Bytes without an end may leave the scanner waiting where the judge has seen enough.
        #expect(inPieces == whole.outcome || inPieces == .incomplete && !hasEnd(bytes), "round \(round)")
        #expect(accepted == nil, "round \(round)")
      case .incomplete:
        #expect(inPieces == .incomplete, "round \(round)")
        #expect(accepted == nil, "round \(round)")
      }
      let prefix = verdict(Array(bytes.prefix(cut)))
      #expect(prefix == .incomplete || prefix == whole.outcome, "round \(round)")
    }
    #expect(complete > 2000 && refused > 2000)
  }

  private func hasEnd(_ bytes: [UInt8]) -> Bool {
    bytes.indices.dropLast(3).contains { bytes[$0...].starts(with: [13, 10, 13, 10]) }
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    let interesting: [UInt8] = [0, 9, 10, 13, 32, 35, 42, 44, 47, 48, 58, 64, 65, 97, 127, 128, 255]
    guard !bytes.isEmpty else { return bytes.append(71) }
    let place = Int.random(in: 0..<bytes.count, using: &random)
    let byte = interesting.randomElement(using: &random) ?? 0
    switch Int.random(in: 0...6, using: &random) {
    case 0: bytes[place] = byte
    case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes.insert(byte, at: place)
    case 3: bytes.remove(at: place)
    case 4: bytes.removeLast(bytes.count - place)
    case 5:
      let line = ["Host: b", "Content-Length: 3", "Transfer-Encoding: chunked", "Expect: 100-continue", "A:b"]
        .randomElement(using: &random)
      if let end = bytes.firstIndex(of: 10) { bytes.insert(contentsOf: Array("\(line ?? "")\r\n".utf8), at: end + 1) }
    default:
      let other = Int.random(in: 0..<bytes.count, using: &random)
      bytes.swapAt(place, other)
    }
  }
}
