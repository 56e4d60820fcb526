// What is read of a question, and what each kind of bad message gets.

import EnvoyAuthorization
import HTTPSyntax
import Testing

@Suite struct CheckRequestTests {
  /// The name of the fault, or `good`.
  private func judge(_ message: [UInt8]) -> String {
    var request = CheckRequest()
    return judge(message, &request)
  }

  private func judge(_ message: [UInt8], _ request: inout CheckRequest) -> String {
    do throws(MessageFault) {
      try request.read(message.span)
      return "good"
    } catch {
      return "\(error.name)"
    }
  }

  private func show(_ occurrence: Occurrence, _ bytes: [UInt8]) -> String {
    switch occurrence {
    case .none: "-"
    case .one(let range): "<" + String(decoding: bytes[range], as: UTF8.self) + ">"
    case .several: "*"
    }
  }

  @Test func `all that a decision needs is read`() {
    let source = field(1, field(1, number(1, 0), text(2, "192.0.2.7"), number(3, 40000)))
    let http = join(
      text(1, "id"), usual, header(":path", "/x?y"), header("Cookie", "a=b"), text(6, "https"), number(9, 300),
      text(10, "HTTP/2"), text(11, "a body"), field(12, [0xFF]))
    let message = field(
      1, field(1, source), field(4, field(1, number(1, 5)), field(2, http)),
      field(10, text(1, "application"), text(2, "wiki")), text(11, "metadata"))
    var request = CheckRequest()
    #expect(judge(message, &request) == "good")
    func shown(_ range: Range<Int>) -> String { String(decoding: message[range], as: UTF8.self) }
    #expect(shown(request.method) == "GET")
    #expect(shown(request.path) == "/x?y")
    #expect(shown(request.host) == "wiki.example.com")
    #expect(shown(request.scheme) == "https")
    #expect(shown(request.httpProtocol) == "HTTP/2")
    let address = request.sourceAddress.map(shown)
    #expect(address == "192.0.2.7")
    let count = request.headerCount
    #expect(count == 2)
    let cookie = request.value(of: "cookie", in: message.span)
    #expect(show(cookie, message) == "<a=b>")
    let application = request.contextExtension("application", in: message.span)
    #expect(show(application, message) == "<wiki>")
    let other = request.contextExtension("Application", in: message.span)
    #expect(other == .none)
  }

  static let headers: [(http: [UInt8], expected: String)] = [
    ([], "-"),
    (header("x-a", "1"), "<1>"),
    (header("X-A", "1"), "<1>"),
    (field(3, text(1, "x-a")), "<>"),
    (header("x-a", "1,2"), "<1,2>"),
    (join(header("x-a", "1"), header("x-a", "1")), "*"),
    (join(header("x-a", "1"), header("X-A", "2")), "*"),
    (join(header("x-ab", "1"), header("x-", "2"), header("x_a", "3")), "-"),
    (field(13, field(1, text(1, "x-a"), field(3, [0x31, 0xFF]))), "<1\u{FFFD}>"),
    (field(13, field(1, text(1, "x-a"), text(2, "1"))), "<1>"),
    (field(13, field(1, text(1, "x-a"), text(3, "1")), field(1, text(1, "x-a"), text(3, "2"))), "*"),
    (join(header("x-a", "1"), field(13, field(1, text(1, "x-a"), text(3, "1")))), "*"),

  ]

  @Test(arguments: headers)
  func `a header counts in both maps, and its value only where it is the only one`(http: [UInt8], expected: String) {
    let message = question(usual + http)
    var request = CheckRequest()
    #expect(judge(message, &request) == "good")
    let found = request.value(of: "X-A", in: message.span)
    #expect(show(found, message) == expected)
  }

  private static func manyHeaders(_ count: Int) -> [UInt8] { (0..<count).flatMap { header("x\($0)", "") } }
  private static func manyExtensions(_ count: Int) -> [UInt8] { (0..<count).flatMap { field(10, text(1, "\($0)")) } }

  /// The table of what refuses. Each row is good without its fault.
  static let faults: [(what: String, message: [UInt8], fault: String)] = [
    ("nothing", [], "no_request"),
    ("no attributes", number(7, 1), "no_request"),
    ("empty attributes", text(1, ""), "no_request"),
    ("no http", field(1, text(4, "")), "no_request"),
    ("an empty http", question([]), "good"),
    ("the usual", question(usual), "good"),
    ("unknown fields", question(usual, text(99, "x"), number(100, 5), [0xAD, 0x06, 1, 2, 3, 4]), "good"),
    ("an unknown fixed64", join(question(usual), [0x79, 1, 2, 3, 4, 5, 6, 7, 8]), "good"),
    ("method twice", question(usual, text(2, "GET")), "repeated_field"),
    ("path twice", question(usual, text(4, "/")), "repeated_field"),
    ("host twice", question(usual, text(5, "a")), "repeated_field"),
    ("scheme twice", question(usual, text(6, "a"), text(6, "a")), "repeated_field"),
    ("protocol twice", question(usual, text(10, "a"), text(10, "a")), "repeated_field"),
    ("header_map twice", question(usual, text(13, ""), text(13, "")), "repeated_field"),
    ("attributes twice", join(question(usual), question(usual)), "repeated_field"),
    ("request twice", field(1, field(4, field(2, usual)), text(4, "")), "repeated_field"),
    ("http twice", field(1, field(4, field(2, usual), text(2, ""))), "repeated_field"),
    ("source twice", field(1, text(1, ""), text(1, ""), field(4, field(2, usual))), "repeated_field"),
    ("a key twice", question(field(3, text(1, "a"), text(1, "a"))), "repeated_field"),
    ("a value twice", question(field(3, text(1, "a"), text(2, "a"), text(2, "a"))), "repeated_field"),
    ("value and raw_value", question(field(13, field(1, text(1, "a"), text(2, "a"), text(3, "a")))), "repeated_field"),
    (
      "socket and pipe", field(1, field(1, field(1, text(1, ""), text(2, ""))), field(4, field(2, usual))),
      "repeated_field"
    ),
    ("a numeric method", question(number(2, 1)), "wrong_wire_type"),
    ("a numeric path", question(number(4, 1)), "wrong_wire_type"),
    ("a numeric attributes", number(1, 1), "wrong_wire_type"),
    ("a fixed32 host", question([0x2D, 1, 2, 3, 4]), "wrong_wire_type"),
    ("a numeric header", question(number(3, 1)), "wrong_wire_type"),
    ("a numeric key", question(field(3, number(1, 1))), "wrong_wire_type"),
    ("a numeric raw_value", question(field(13, field(1, text(1, "a"), number(3, 1)))), "wrong_wire_type"),
    ("a numeric extension", field(1, number(10, 1), field(4, field(2, usual))), "wrong_wire_type"),
    ("a numeric body, which is not read", question(usual, number(11, 1)), "good"),
    ("a nameless header", question(field(3, text(2, "x"))), "unnamed_entry"),
    ("an empty name", question(header("", "x")), "unnamed_entry"),
    ("a nameless extension", field(1, text(10, ""), field(4, field(2, usual))), "unnamed_entry"),
    ("128 headers", question(manyHeaders(128)), "good"),
    ("129 headers", question(manyHeaders(129)), "too_many_entries"),
    ("16 extensions", field(1, manyExtensions(16), field(4, field(2, usual))), "good"),
    (
      "17 extensions", field(1, manyExtensions(17), field(4, field(2, usual))),
      "too_many_entries"
    ),
    ("a group", question(usual, [0x0B, 0x0C]), "bad_tag"),
    ("an end of a group", join(question(usual), [0x0C]), "bad_tag"),
    ("wire type 6", question(usual, [0x0E, 0]), "bad_tag"),
    ("wire type 7", question(usual, [0x0F, 0]), "bad_tag"),
    ("field number 0", join(question(usual), [0x02, 0]), "bad_tag"),
    ("field number 2^29 - 1", join(question(usual), [0xFA, 0xFF, 0xFF, 0xFF, 0x0F, 0]), "good"),
    ("field number 2^29", join(question(usual), [0x82, 0x80, 0x80, 0x80, 0x10, 0]), "bad_tag"),
    ("a tag with a byte too many", join(question(usual), [0x8A, 0x80, 0x00, 0]), "overlong_varint"),
    ("a length with a byte too many", field(1, [0x22, 0x80, 0x00]), "overlong_varint"),
    ("the largest number", question(usual, [0x48], [UInt8](repeating: 0xFF, count: 9), [1]), "good"),
    ("65 bits", question(usual, [0x48], [UInt8](repeating: 0xFF, count: 9), [2]), "overlong_varint"),
    ("eleven bytes", question(usual, [0x48], [UInt8](repeating: 0xFF, count: 10), [1]), "overlong_varint"),
    ("an unfinished number", join(question(usual), [0x78, 0x80]), "truncated"),
    ("an unfinished tag", join(question(usual), [0x80]), "truncated"),
    ("a short fixed64", join(question(usual), [0x79, 1, 2, 3]), "truncated"),
    ("a short fixed32", join(question(usual), [0x7D, 1, 2, 3]), "truncated"),
    ("a length of 2^64 - 1", join([0x0A], [UInt8](repeating: 0xFF, count: 9), [1]), "truncated"),
    ("a length of 2^63", join([0x0A], [UInt8](repeating: 0x80, count: 9), [1]), "truncated"),
    (
      "a field longer than its message", join(field(1, field(4, [0x12, 0x05, 0x12])), text(2, "abcdefgh")), "truncated"
    ),
    ("64 KiB", question(usual, field(11, [UInt8](repeating: 0x61, count: 65_490))), "good"),
    ("more than 64 KiB", question(usual, field(11, [UInt8](repeating: 0x61, count: 65_536))), "too_large"),
    (
      "thousands of levels, none of which is entered",
      question(usual, field(99, [UInt8](repeating: 0x0A, count: 9000))), "good"
    ),

  ]

  @Test(arguments: faults.indices)
  func `each kind of bad message gets its own fault`(row: Int) {
    let (what, message, fault) = Self.faults[row]
    #expect(judge(message) == fault, "\(what)")
  }

  @Test func `a message cut short anywhere is refused, or asks for less`() {
    let message = question(usual, header("x-a", "1"), header("x-b", "2"))
    for count in 0..<message.count { #expect(judge(Array(message[..<count])) != "good", "\(count)") }
  }

  @Test func `nothing of a refused message counts`() {
    let good = field(
      1, field(1, field(1, field(1, text(2, "192.0.2.7")))), field(4, field(2, usual, header("x-a", "1"))),
      field(10, text(1, "application"), text(2, "wiki")))
    var request = CheckRequest()
    #expect(judge(good, &request) == "good")
    let bad = question(usual, header("x-a", "1"), text(2, "POST"))
    #expect(judge(bad, &request) == "repeated_field")
    let isEmpty = request.method.isEmpty && request.path.isEmpty && request.host.isEmpty
    #expect(isEmpty)
    let source = request.sourceAddress
    #expect(source == nil)
    let found = request.value(of: "x-a", in: bad.span)
    #expect(found == .none)
    let application = request.contextExtension("application", in: good.span)
    #expect(application == .none)
  }

  @Test func `fewer bytes than were read hold nothing`() {
    let message = question(header("x-a", "1"))
    var request = CheckRequest()
    #expect(judge(message, &request) == "good")
    let found = request.value(of: "x-a", in: message.span.extracting(first: 3))
    #expect(found == .none)
  }

  static let peers: [(peer: [UInt8], expected: String?)] = [
    ([], nil),
    (text(1, ""), nil),
    (field(1, text(2, "/socket")), nil),
    (field(1, text(1, "")), nil),
    (field(1, field(1, text(2, ""))), nil),
    (field(1, field(1, text(2, "::1"))), "::1"),
    (field(1, field(1, number(3, 80))), nil),
    (text(4, "spiffe://x"), nil),
  ]

  @Test(arguments: peers)
  func `the source is a socket's address or nothing`(peer: [UInt8], expected: String?) {
    let message = field(1, field(1, peer), field(4, field(2, usual)))
    var request = CheckRequest()
    #expect(judge(message, &request) == "good")
    let address = request.sourceAddress.map { String(decoding: message[$0], as: UTF8.self) }
    #expect(address == expected)
  }

  @Test func `the same extension twice is several`() {
    let entry = field(10, text(1, "application"), text(2, "wiki"))
    let message = field(1, entry, entry, field(4, field(2, usual)))
    var request = CheckRequest()
    #expect(judge(message, &request) == "good")
    let application = request.contextExtension("application", in: message.span)
    #expect(application == .several)
  }
}
