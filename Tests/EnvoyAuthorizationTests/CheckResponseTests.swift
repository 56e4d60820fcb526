// What is written for each decision, and above all: nothing but a decision to allow is ever read as one.

import EnvoyAuthorization
import Seeding
import Testing

/// A reply's parts, with the bytes that they lie in.
private struct Parts {
  var text: [UInt8] = []
  var headers: [NamedValue] = []
  var metadata: [MetadataField] = []
  var body = 0..<0

  mutating func place(_ bytes: [UInt8]) -> Range<Int> {
    let start = text.count
    text += bytes
    return start..<text.count
  }
  mutating func header(_ name: String, _ value: String) {
    headers.append(NamedValue(name: place(Array(name.utf8)), value: place(Array(value.utf8))))
  }

  func write(_ decision: CheckDecision, capacity: Int) -> (bytes: [UInt8], isAsDecided: Bool) {
    var out = [UInt8](repeating: 0xFF, count: capacity)
    var span = out.mutableSpan
    let written = CheckResponse.write(
      decision, text: text.span, headers: headers.span, metadata: metadata.span, into: &span)
    #expect(out[written.count...].allSatisfy { $0 == 0xFF }, "written behind the end")
    return (Array(out[..<written.count]), written.isAsDecided)
  }

  /// The response as Envoy sees it, behind a prefix that has been checked.
  func answer(_ decision: CheckDecision, capacity: Int = 4096) -> (answer: Answer, isAsDecided: Bool) {
    let (bytes, isAsDecided) = write(decision, capacity: capacity)
    let length = bytes[1..<5].reduce(0) { $0 << 8 | Int($1) }
    #expect(bytes[0] == 0 && length == bytes.count - 5)
    return (Answer(Array(bytes[5...])), isAsDecided)
  }
}

@Suite struct CheckResponseTests {
  @Test func `an allow overwrites every identity header, and removes the empty ones`() {
    var parts = Parts()
    parts.header("x-auth-user", "lea@acme.com")
    parts.header("x-auth-subject", "")
    parts.metadata = [
      MetadataField(key: parts.place(Array("user".utf8)), value: .text(parts.place(Array("lea@acme.com".utf8)))),
      MetadataField(key: parts.place(Array("expires".utf8)), value: .number(1_700_000_000)),
    ]
    let (answer, isAsDecided) = parts.answer(.allow)
    #expect(isAsDecided)
    #expect(answer.hasStatus && answer.code == 0 && answer.isOK && answer.httpStatus == nil)
    #expect(answer.headers == ["x-auth-user=lea@acme.com", "x-auth-subject="])
    #expect(answer.removed == ["x-auth-subject"])
    #expect(answer.metadata == ["user=lea@acme.com", "expires=1700000000.0"])
  }

  @Test(arguments: DenialCode.allCases, [DenialStatus.unauthorized, .forbidden, .unavailable, .badRequest])
  func `a denial has its code, its status, its headers and its body`(code: DenialCode, status: DenialStatus) {
    var parts = Parts()
    parts.header("www-authenticate", "Bearer realm=\"access-gateway\"")
    parts.header("x-empty", "")
    let body = parts.place(Array("Grüezi.\n".utf8))
    let (answer, isAsDecided) = parts.answer(.deny(CheckDenial(code: code, status: status, body: body)))
    #expect(isAsDecided)
    #expect(answer.hasStatus && answer.code == UInt64(code.rawValue) && !answer.isOK)
    #expect(answer.httpStatus == UInt64(status.code))
    #expect(answer.headers == ["www-authenticate=Bearer realm=\"access-gateway\"", "x-empty="])
    #expect(answer.removed.isEmpty)
    #expect(answer.body == "Grüezi.\n")
  }

  @Test func `the smallest allow says that it is one`() {
    let (bytes, isAsDecided) = Parts().write(.allow, capacity: CheckResponse.minimumCapacity)
    #expect(isAsDecided && bytes == [0, 0, 0, 0, 6, 0x0A, 2, 0x08, 0, 0x1A, 0])
  }

  @Test func `no code and no status is that of an allow`() {
    #expect(DenialCode.allCases.allSatisfy { $0.rawValue != 0 })
    #expect(DenialCode(rawValue: 0) == nil)
    #expect((UInt16.min...UInt16.max).filter { DenialStatus($0) != nil } == Array(300...599))
  }

  @Test(arguments: ["a\r\nx: y", "a\u{0}", "é", "\u{7F}", "a\n"])
  func `a value that must not leave turns an allow into a denial`(value: String) {
    var parts = Parts()
    parts.header("x-auth-user", value)
    let (answer, isAsDecided) = parts.answer(.allow)
    #expect(!isAsDecided && answer.code == 13 && answer.httpStatus == 500 && !answer.isOK)
    var metadata = Parts()
    metadata.metadata = [MetadataField(key: metadata.place([0x61]), value: .text(metadata.place(Array(value.utf8))))]
    #expect(metadata.answer(.allow).answer.code == 13)
  }

  @Test(arguments: ["", ":path", "x auth", "x:a", "é", "x\r\n"])
  func `a name that is no field name turns an allow into a denial`(name: String) {
    var parts = Parts()
    parts.header(name, "a")
    #expect(parts.answer(.allow).answer.code == 13)
  }

  @Test(arguments: [Double.nan, .infinity, -.infinity])
  func `a number that JSON does not know turns an allow into a denial`(number: Double) {
    var parts = Parts()
    parts.metadata = [MetadataField(key: parts.place([0x61]), value: .number(number))]
    #expect(parts.answer(.allow).answer.code == 13)
  }

  @Test(arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] as [[UInt8]])
  func `a body that is not UTF-8 is left out with all that Envoy could not parse`(bytes: [UInt8]) {
    var parts = Parts()
    let body = parts.place(bytes)
    let (answer, isAsDecided) = parts.answer(
      .deny(CheckDenial(code: .unauthenticated, status: .unauthorized, body: body)))
    #expect(!isAsDecided && answer.code == 13 && answer.body == "")
  }

  @Test func `a place outside of the text turns an allow into a denial`() {
    var parts = Parts()
    parts.header("a", "b")
    parts.headers.append(NamedValue(name: 0..<1, value: 1..<3))
    #expect(parts.answer(.allow).answer.code == 13)
    parts.headers = []
    parts.metadata = [MetadataField(key: -1..<1, value: .number(1))]
    #expect(parts.answer(.allow).answer.code == 13)
    parts.metadata = [MetadataField(key: 0..<1, value: .text(0..<3))]
    #expect(parts.answer(.allow).answer.code == 13)
    #expect(
      parts.answer(.deny(CheckDenial(code: .unauthenticated, status: .unauthorized, body: 0..<3))).answer.code == 13)
  }

  @Test func `every buffer holds the whole reply or a denial`() {
    var parts = Parts()
    parts.header("x-auth-user", String(repeating: "a", count: 300))
    parts.header("x-auth-kind", "")
    parts.metadata = [MetadataField(key: parts.place([0x61]), value: .number(1))]
    let whole = parts.write(.allow, capacity: 4096).bytes.count
    #expect(whole > 300)
    for capacity in CheckResponse.minimumCapacity...whole + 1 {
      let (answer, isAsDecided) = parts.answer(.allow, capacity: capacity)
      #expect(isAsDecided == (capacity >= whole), "\(capacity)")
      #expect((answer.code == 0) == isAsDecided && answer.hasStatus && answer.isOK == isAsDecided)
    }
  }

  @Test func `over all inputs only a decision to allow is read as one`() {
    var random = SeededGenerator(seed: 16)
    for _ in 0..<5000 {
      var parts = Parts()
      let isClean = random.next() % 2 == 0
      func text(_ longest: UInt64) -> [UInt8] {
        (0..<random.next() % (longest + 1)).map { _ in
          isClean ? UInt8(0x21 + random.next() % 0x5E) : UInt8(truncatingIfNeeded: random.next())
        }
      }
      for _ in 0..<random.next() % 5 {
        let name = isClean ? [UInt8(ascii: "x")] + (0..<random.next() % 140).map { _ in UInt8(ascii: "y") } : text(140)
        let name2 = parts.place(name)
        parts.headers.append(NamedValue(name: name2, value: parts.place(text(300))))
      }
      for _ in 0..<random.next() % 4 {
        let key = parts.place(isClean ? [0x61] + text(10) : text(10))
        let number = Double(bitPattern: random.next())
        parts.metadata.append(
          MetadataField(
            key: key, value: random.next() % 2 == 0 ? .text(parts.place(text(200))) : .number(isClean ? 1 : number)))
      }
      let body = parts.place(text(200))
      let codes = DenialCode.allCases
      let decision: CheckDecision =
        random.next() % 2 == 0
        ? .allow
        : .deny(
          CheckDenial(
            code: codes[Int(random.next() % UInt64(codes.count))],
            status: DenialStatus(UInt16(300 + random.next() % 300)) ?? .forbidden, body: body))
      let capacity = CheckResponse.minimumCapacity + Int(random.next() % 2000)
      let (answer, isAsDecided) = parts.answer(decision, capacity: capacity)
      #expect(answer.hasStatus, "no explicit status")
      switch decision {
      case .allow: #expect(isAsDecided == (answer.code == 0) && answer.isOK == isAsDecided)
      case .deny(let denial):
        #expect(answer.code != 0 && !answer.isOK && answer.httpStatus != nil)
        if isAsDecided { #expect(answer.code == UInt64(denial.code.rawValue)) }
      }
      if isAsDecided { #expect(answer.headers.count == parts.headers.count) }
    }
  }
}
