// The bound on the work that a token gets before its signature: what is put off says nothing, and what is not put off is
// judged as ever.

import Seeding
import Testing

@testable import Token

@Suite struct WorkTests {
  /// What `parse` made of a text, in a form that can be compared.
  private struct Tape: Equatable {
    var outcome: JSONOutcome
    var nodes: [String] = []

    init(_ bytes: [UInt8], work: Int?) {
      var document = JSONDocument(nodeCapacity: bytes.count / 2 + 1, seed: 1)
      var left = work ?? Int.max
      outcome = document.parse(bytes.span, work: &left)
      #expect((left < 0) == (outcome == .unfinished))
      #expect((document.root != nil) == (outcome == .read))
      for index in 0..<document.nodeCount {
        let entry = document.tape[index]
        nodes.append("\(entry.kind) \(entry.start) \(entry.end) \(entry.next) \(entry.hasEscapes) \(entry.hash)")
      }
    }
  }

  /// JSON that is mostly well-formed.
  private static func text(_ random: inout SeededGenerator, depth: Int = 0) -> String {
    let characters = [
      "a", "é", "€", "😀", "\\n", "\\u0041", "\\ud83d\\ude00", "bc", " ", "\\", "\"", "\\ud800", "\u{1}",
    ]
    func string(_ random: inout SeededGenerator) -> String {
      let count = Int.random(in: 0..<6, using: &random)
      let most = Int.random(in: 0..<200, using: &random) == 0 ? characters.count : 9
      return "\"" + (0..<count).map { _ in characters[Int.random(in: 0..<most, using: &random)] }.joined() + "\""
    }
    func space(_ random: inout SeededGenerator) -> String { ["", "", "", " ", "\n\t "].randomElement(using: &random)! }
    let kind = depth > 3 ? Int.random(in: 2..<8, using: &random) : Int.random(in: 0..<8, using: &random)
    let count = Int.random(in: 0..<7, using: &random)
    switch kind {
    case 0:
      let members = (0..<count).map { _ in
        space(&random) + string(&random) + space(&random) + ":" + space(&random) + text(&random, depth: depth + 1)
      }
      return "{" + members.joined(separator: ",") + "}"
    case 1:
      return "[" + (0..<count).map { _ in text(&random, depth: depth + 1) + space(&random) }.joined(separator: ",")
        + "]"
    case 2, 3: return string(&random)
    default:
      return Int.random(in: 0..<100, using: &random) == 0
        ? "01" : ["1", "-1.5e9", "true", "null", "false", "0", "1e400"].randomElement(using: &random)!
    }
  }

  @Test func `whatever the work, a text is unfinished or exactly what it is in full`() {
    var random = SeededGenerator(seed: 1)
    var outcomes: [JSONOutcome: Int] = [:]
    for _ in 0..<3000 {
      let bytes = Array(Self.text(&random).utf8)
      let full = Tape(bytes, work: nil)
      #expect(full.outcome != .unfinished)
      var wasFinished = false
      for work in [0, 1, 4, 5, 9, 20, 40, 80, 160, 1000] {
        let bounded = Tape(bytes, work: work)
        outcomes[bounded.outcome, default: 0] += 1
        if bounded.outcome == .unfinished {
          #expect(!wasFinished, "less work sufficed: \(String(decoding: bytes, as: UTF8.self))")
          #expect(bounded.nodes.isEmpty)
        } else {
          wasFinished = true
          #expect(bounded == full)
        }
      }
      #expect(wasFinished)
    }
    for outcome in [JSONOutcome.read, .refused, .unfinished] { #expect(outcomes[outcome, default: 0] > 300) }
  }

  static let dense: [String] = [
    "[" + String(repeating: "1,", count: 400) + "1]", "[" + String(repeating: "[],", count: 400) + "1]",
    "[" + String(repeating: "\"\",", count: 400) + "1]", "[" + String(repeating: "{},", count: 400) + "1]",
    "\"" + String(repeating: "é", count: 400) + "\"", "\"" + String(repeating: "\\n", count: 400) + "\"",
    "\"" + String(repeating: "\\u0041", count: 400) + "\"", "\"\\n" + String(repeating: "a", count: 4000) + "\"",
    "{\"" + String(repeating: "a", count: 5400) + "\":1}", "{\"" + String(repeating: "\\n", count: 400) + "\":1}",
    "[" + (0..<40).map { "{\"\($0)\":1}" }.joined(separator: ",") + "]",
    "[" + String(repeating: "true , ", count: 80) + "1]",
    "{" + (0..<30).map { "\"\\u0061\($0)\":1" }.joined(separator: ",") + "}",
  ]

  @Test(arguments: dense) func `a text that is dense takes more than a screening gives, and in full it is read`(
    text: String
  ) {
    #expect(Tape(Array(text.utf8), work: TokenReader.screeningWork).outcome == .unfinished)
    #expect(Tape(Array(text.utf8), work: nil).outcome == .read)
  }

  @Test(arguments: [
    "\"" + String(repeating: "a", count: 6000) + "\"", "1" + String(repeating: "0", count: 6000),
    "1e" + String(repeating: "0", count: 6000), String(repeating: " ", count: 6000) + "1",
  ])
  func `bytes that are read eight at a step are no work`(text: String) {
    #expect(Tape(Array(text.utf8), work: 8).outcome == .read)
  }

  // MARK: - Tokens

  private func screening(_ token: String, _ reader: inout TokenReader) -> Reading {
    let bytes = Array(token.utf8)
    return reader.screen(bytes.span)
  }

  @Test func `a usual token is settled at once, and says what it says in full`() {
    var reader = TokenReader()
    #expect(screening(Samples.token(), &reader) == .settled)
    let expires = reader.expires
    let kind = reader.kind
    #expect(expires == 1_700_003_600 && kind == .user)
  }

  @Test(arguments: dense) func `a dense token is unsettled: its header and signature speak, its claims do not`(
    value: String
  ) {
    var reader = TokenReader()
    let dense = Samples.token(payload: Samples.payload(["x": value]))
    // Full of the claims of another token.
    #expect(screening(Samples.token(), &reader) == .settled)
    #expect(screening(dense, &reader) == .unsettled)
    expectSilence(reader)
    let kid = reader.withKeyIdentifier { kid in kid.indices.map { kid[$0] } }
    #expect(kid == Array("key-1".utf8))
    let algorithms = reader.algorithms
    #expect(algorithms == .rs256)
    let signatureCount = reader.withSignature { $0.count }
    #expect(signatureCount == 4)
    let end = reader.signingInput.upperBound
    #expect(dense.utf8.dropFirst(end).first == UInt8(ascii: "."))
    // In full it is as good as any.
    let bytes = Array(dense.utf8)
    let reason = reader.read(bytes.span)
    #expect(reason == nil)
    let kind = reader.kind
    #expect(kind == .user)
  }

  /// Nothing of the claims is handed out.
  private func expectSilence(_ reader: borrowing TokenReader) {
    let expires = reader.expires
    let notBefore = reader.notBefore
    let issuedAt = reader.issuedAt
    let kind = reader.kind
    var written: [UInt8] = []
    reader.appendUser(to: &written)
    reader.appendEmail(to: &written)
    reader.appendSubject(to: &written)
    let hasToken = reader.hasToken
    #expect(!hasToken && kind == nil && expires == nil && notBefore == nil && issuedAt == nil)
    #expect(written.isEmpty)
    let audience = Array(Samples.audience.utf8)
    let check = reader.check(Samples.expectations, audience: audience.span, now: Samples.now)
    #expect(check == .malformed)
    let issuer = reader.issuer(among: [Samples.expectations])
    #expect(issuer == nil)
    let bytes = reader.withPayload { document, bytes in document.nodeCount + bytes.count }
    #expect(bytes == 0)
  }

  private static func header(_ extra: String) -> String {
    #"{"alg":"RS256","kid":"key-1","typ":"JWT","x":\#(extra)}"#
  }

  static let denseHeader = header("[" + String(repeating: "1,", count: 200) + "1]")

  @Test func `a dense header alone leaves the payload for later, whatever it is`() {
    var reader = TokenReader()
    let headerPart = Samples.encode(Self.denseHeader.utf8)
    for payload in [Samples.encode(Samples.payload().utf8), Samples.encode("[".utf8), "A", "?", "A.A"] {
      #expect(screening("\(headerPart).\(payload).wP_uWg", &reader) == .unsettled, "\(payload)")
      expectSilence(reader)
    }
    // A list stays one, and is one only by its comma.
    let list = Array("\(headerPart).AAAA.wP_u,\(headerPart).AAAA.wP_u".utf8)
    _ = reader.screen(list.span)
    let isList = reader.isList(list.span)
    #expect(isList)
    let single = Array("\(headerPart).AA?A.wP_u".utf8)
    _ = reader.screen(single.span)
    let isSingleList = reader.isList(single.span)
    #expect(!isSingleList)
    // Neither is its signature's form left for later, nor the largest of any key's exceeded.
    #expect(screening("\(headerPart).AAAA.wP_u?", &reader) == .refused(.malformed))
    #expect(screening("\(headerPart).AAAA.\(String(repeating: "A", count: 1366))", &reader) == .unsettled)
    let longest = reader.withSignature { $0.count }
    #expect(longest == 1024)
    #expect(screening("\(headerPart).AAAA.\(String(repeating: "A", count: 1367))", &reader) == .unsettled)
    let longer = reader.withSignature { $0.count }
    #expect(longer == 0)
  }

  @Test(arguments: [
    (#"{"alg":"RS256","kid":7,"x":X}"#, Reason.malformed),
    (#"{"alg":"RS256","kid":"key-1","crit":[],"x":X}"#, .malformed),
    (#"{"alg":"RS256","kid":"key-1","x":X,"x":1}"#, .malformed), (#"{"alg":"RS256","kid":"key-1","x":X"#, .malformed),
  ])
  func `what is wrong with the header refuses before the signature, dense or not`(header: String, reason: Reason) {
    var reader = TokenReader()
    for extra in ["[" + String(repeating: "1,", count: 200) + "1]", "1"] {
      let whole = header.replacing("X", with: extra)
      for payload in [Samples.payload(), Samples.payload(["x": Self.dense[0]])] {
        #expect(screening(Samples.token(header: whole, payload: payload), &reader) == .refused(reason))
        expectSilence(reader)
      }
    }
  }

  @Test func `whatever a token holds, a screening puts it off or judges it as a full reading does`() {
    var random = SeededGenerator(seed: 2)
    var counts = (refused: 0, settled: 0, unsettled: 0)
    var reader = TokenReader()
    for _ in 0..<3000 {
      let extra =
        "[" + (0..<Int.random(in: 0..<30, using: &random)).map { _ in Self.text(&random) }.joined(separator: ",")
        + "]"
      let header = Bool.random(using: &random) ? Samples.header : Self.header(extra)
      let token = Array(Samples.token(header: header, payload: Samples.payload(["x": extra])).utf8)
      let bounded = reader.screen(token.span)
      let full = reader.read(token.span)
      switch bounded {
      case .unsettled: counts.unsettled += 1
      case .settled:
        counts.settled += 1
        #expect(full == nil)
      case .refused(let reason):
        counts.refused += 1
        #expect(full == reason)
      }
    }
    #expect(counts.refused > 300 && counts.settled > 300 && counts.unsettled > 300, "\(counts)")
  }

  @Test(arguments: ["", "a", "a.b", "a.b.c", "a.b.c.d"]) func `a comma anywhere makes a list`(rest: String) {
    var reader = TokenReader()
    for at in 0...rest.utf8.count {
      var bytes = Array(rest.utf8)
      _ = reader.screen(bytes.span)
      let before = reader.isList(bytes.span)
      #expect(!before)
      bytes.insert(UInt8(ascii: ","), at: at)
      _ = reader.screen(bytes.span)
      let after = reader.isList(bytes.span)
      #expect(after)
    }
    let good = Array(Samples.token().utf8)
    for at in 0...good.count {
      var bytes = good
      bytes.insert(UInt8(ascii: ","), at: at)
      let reading = reader.screen(bytes.span)
      #expect(reading == .refused(.malformed))
      let isList = reader.isList(bytes.span)
      #expect(isList)
    }
  }
}
