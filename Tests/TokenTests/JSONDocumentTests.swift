// The JSON reader's own limits, its look-ups and its comparisons. RFC 8259's grammar is in JSONSuiteTests.swift.

import Testing

import Token

@Suite struct JSONDocumentTests {
  static func isAccepted(_ bytes: [UInt8], nodeCapacity: Int = 4096) -> Bool {
    var document = JSONDocument(nodeCapacity: nodeCapacity)
    let isAccepted = document.parse(bytes.span)
    #expect((document.root != nil) == isAccepted)
    #expect((document.nodeCount > 0) == isAccepted)
    return isAccepted
  }

  static func isAccepted(_ text: String) -> Bool { isAccepted(Array(text.utf8)) }

  static func nested(_ depth: Int, _ open: String, _ close: String) -> String {
    String(repeating: open, count: depth) + String(repeating: close, count: depth)
  }

  @Test func `nesting is accepted to 16 levels and refused from 17`() {
    #expect(Self.isAccepted(Self.nested(16, "[", "]")))
    #expect(!Self.isAccepted(Self.nested(17, "[", "]")))
    let object = String(repeating: #"{"a":"#, count: 16)
    #expect(Self.isAccepted(object + "1" + String(repeating: "}", count: 16)))
    #expect(!Self.isAccepted(#"{"a":"# + object + "1" + String(repeating: "}", count: 17)))
    #expect(!Self.isAccepted(String(repeating: "[", count: 100_000)))
    #expect(!Self.isAccepted(String(repeating: #"{"a":"#, count: 100_000)))
  }

  @Test func `an object has at most 64 members, at any depth`() {
    func object(_ count: Int) -> String { "{" + (0..<count).map { "\"\($0)\":\($0)" }.joined(separator: ",") + "}" }
    #expect(Self.isAccepted(object(64)))
    #expect(!Self.isAccepted(object(65)))
    #expect(Self.isAccepted("[\(object(64)),\(object(64))]"))
    #expect(!Self.isAccepted("{\"a\":[\(object(65))]}"))
  }

  @Test(arguments: [
    #"{"a":1,"a":2}"#, #"{"alg":1,"\u0061lg":2}"#, #"{"\u0061lg":2,"alg":1}"#, #"{"\u0061":1,"\u0061":2}"#,
    #"{"a":{"b":1,"b":1}}"#, #"[{"a":1,"b":{},"a":[]}]"#, #"{"":1,"":2}"#, #"{"é":1,"\u00e9":2}"#,
    #"{"\ud83d\ude00":1,"😀":2}"#, #"{"a\/b":1,"a/b":2}"#, #"{"x":1,"aud":{"aud":1},"y":[1,[2]],"aud":3}"#,
    #"{"abcdefgh":1,"abcd\u0065fgh":2}"#, #"{"a\u0000":1,"a\u0000":1}"#,
  ])
  func `a name twice in one object refuses, also when equal only after unescaping`(text: String) {
    #expect(!Self.isAccepted(text))
  }

  @Test(arguments: [
    #"{"a":1,"A":2}"#, #"{"a":{"a":{"a":1}}}"#, #"[{"a":1},{"a":1}]"#, #"{"é":1,"e\u0301":2}"#, #"{"a":1,"a\u0000":2}"#,
    #"{"":1,"\u0000":2}"#, #"{"a":1,"\\u0061":2}"#, #"{"a":["a","a"]}"#,
  ])
  func `names that differ, or lie in different objects, are accepted`(text: String) {
    #expect(Self.isAccepted(text))
  }

  @Test func `every pair of equal names among 64 is found, whatever the seed`() {
    for seed in [UInt64(0), 1, .max, 0x1234_5678_9ABC_DEF0] {
      var document = JSONDocument(nodeCapacity: 200, seed: seed)
      for twin in 0..<63 {
        var names = (0..<63).map { "name-\($0 * $0)" }
        let isUnique = document.parse(
          Array(("{" + names.map { "\"\($0)\":[]" }.joined(separator: ",") + "}").utf8).span)
        #expect(isUnique)
        names.append(names[twin].replacing("n", with: "\\u006e"))
        let isRepeated = document.parse(
          Array(("{" + names.map { "\"\($0)\":[]" }.joined(separator: ",") + "}").utf8).span)
        #expect(!isRepeated)
      }
    }
  }

  @Test(arguments: [
    #""\ud800""#, #""\udc00""#, #""\ud800\ud800""#, #""\udc00\ud800""#, #""\ud800x""#, #""\ud800\n""#,
    #""\ud800\u0041""#,
    #"{"\udfff":1}"#, #""\ud83d\u""#, #""\u12""#, #""\u12g4""#, #""\x41""#, #""\'""#, #""\"#, #""\u"#, #""\ud83d\ude0"#,
  ])
  func `half a surrogate pair and a broken escape refuse`(text: String) {
    #expect(!Self.isAccepted(text))
  }

  @Test(
    arguments: [
      [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
      [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0x80],
      [0xFF], [0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98], [0xC3, 0x28], [0xE2, 0x28, 0xA1], [0xE2, 0x82, 0x28],
      [0xF0, 0x9F, 0x98, 0x28], [0x00], [0x1F], [0x0A], [0x09],
    ] as [[UInt8]])
  func `ill-formed UTF-8 and raw control characters in a string refuse`(inside: [UInt8]) {
    #expect(!Self.isAccepted([0x22] + inside + [0x22]))
    #expect(!Self.isAccepted([0x22] + inside))
  }

  @Test(arguments: [
    "\u{80}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFF}", "\u{10000}", "\u{10FFFF}", "\u{7F}",
  ])
  func `the first and last characters of each length are accepted`(character: String) {
    #expect(Self.isAccepted("\"\(character)\""))
  }

  @Test(arguments: ["\u{FEFF}{}", "{} x", "{}{}", "{},", "", " ", "nul", "truex", "\0{}", "{}\0", "[1 2]", "{\"a\"}"])
  func `a byte order mark, anything behind the value and half a value refuse`(text: String) {
    #expect(!Self.isAccepted(text))
  }

  @Test func `UTF-16 refuses`() {
    #expect(!Self.isAccepted([0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00]))
    #expect(!Self.isAccepted([0x00, 0x7B, 0x00, 0x7D]))
  }

  @Test func `more values than the capacity refuse, and the next text is read afresh`() {
    var document = JSONDocument(nodeCapacity: 4)
    let three = document.parse(Array("[1,2,3]".utf8).span)
    #expect(three)
    let four = document.parse(Array("[1,2,3,4]".utf8).span)
    #expect(!four)
    #expect(document.root == nil)
    #expect(document.nodeCount == 0)
    let member = document.parse(Array(#"{"a":1}"#.utf8).span)
    #expect(member)
    #expect(document.nodeCount == 3)
    let members = document.parse(Array(#"{"a":1,"b":2}"#.utf8).span)
    #expect(!members)
    var none = JSONDocument(nodeCapacity: 0, maximumDepth: 0)
    let empty = none.parse(Array("[]".utf8).span)
    #expect(!empty)
  }

  @Test func `limits are those of the initializer`() {
    var document = JSONDocument(nodeCapacity: 64, maximumDepth: 2, maximumMembers: 1)
    let within = document.parse(Array(#"{"a":[1]}"#.utf8).span)
    #expect(within)
    let deep = document.parse(Array(#"{"a":[[]]}"#.utf8).span)
    #expect(!deep)
    let wide = document.parse(Array(#"{"a":1,"b":2}"#.utf8).span)
    #expect(!wide)
  }

  @Test func `half the bytes plus one suffices as capacity for any text`() {
    for text in ["[1,1,1,1,1,1,1]", "[[],[],[[]]]", #"{"":1,"a":2}"#, "[]", "1", #"["","",""]"#] {
      #expect(Self.isAccepted(Array(text.utf8), nodeCapacity: text.utf8.count / 2 + 1), "\(text)")
    }
  }

  @Test func `members are found by their unescaped names, and only in the object asked`() throws {
    let text = Parsed(#"{"a":{"kid":1},"k\u0069d":"x","n":[{"kid":2}],"long name, longer than a word":true}"#)
    let root = try #require(text.root)
    let kid = try #require(text.member(root, "kid"))
    #expect(text.equals(kid, "x"))
    #expect(!text.equals(kid, "y"))
    #expect(text.member(root, "long name, longer than a word")?.kind == .true)
    #expect(text.member(root, "Kid") == nil)
    #expect(text.member(root, "ki") == nil)
    #expect(text.member(kid, "kid") == nil)
    let array = try #require(text.member(root, "n"))
    #expect(text.member(array, "kid") == nil)
    let inner = try #require(text.member(root, "a"))
    let one = try #require(text.member(inner, "kid"))
    #expect(text.string(one) == "1")
    let source = text.bytes
    let short = text.document.member(of: root, named: "kid", in: source.span)
    #expect(short?.range == kid.range)
  }

  @Test func `iteration gives each element and member once, in order, past nested ones`() throws {
    let text = Parsed(#"{"a":[1,[2,3],{"x":4},"5"],"b":null,"c":{}}"#)
    let root = try #require(text.root)
    let members = text.members(root)
    #expect(members.map { text.string($0.name) } == ["a", "b", "c"])
    #expect(members.map { $0.value.kind } == [.array, .null, .object])
    #expect(text.elements(members[0].value).map { text.string($0) } == ["1", "[2,3]", #"{"x":4}"#, "5"])
    #expect(text.elements(members[1].value).isEmpty)
    #expect(text.members(members[2].value).isEmpty)
  }

  @Test(arguments: [
    (#"plain"#, "plain"), (#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{C}\n\r\t"), (#"\u0041\u00e9\u20AC\ud83d\uDE00"#, "Aé€😀"),
    (#"é😀\u0000x"#, "é😀\0x"), ("", ""),
    (#"\u007f\u0080\u07ff\u0800\uffff\udbff\udfff"#, "\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10FFFF}"),
  ])
  func `a string compares, counts and copies as its unescaped value`(inside: String, value: String) throws {
    let text = Parsed("\"\(inside)\"")
    let expected = Array(value.utf8)
    let node = try #require(text.root)
    #expect(text.equals(node, value))
    #expect(!text.equals(node, value + "A"))
    #expect(!text.equals(node, String(value.dropLast())) || value.isEmpty)
    let source = text.bytes
    let count = node.unescapedCount(in: source.span)
    #expect(count == expected.count)
    var appended: [UInt8] = []
    node.appendUnescaped(to: &appended, in: source.span)
    #expect(appended == expected)
    #expect(text.copy(node, room: expected.count) == expected)
    #expect(text.copy(node, room: expected.count + 9) == expected)
    #expect(text.copy(node, room: expected.count - 1) == nil)
  }

  @Test func `a node with another source than its own answers nothing instead of trapping`() throws {
    let text = Parsed(#"["a\u0062cdefgh",12345678]"#)
    let root = try #require(text.root)
    let nodes = text.elements(root)
    #expect(nodes.count == 2)
    for length in 0..<text.bytes.count {
      let other = [UInt8](repeating: 0x5C, count: length)
      for node in nodes {
        let isEqual = node.equals("abcdefgh", in: other.span)
        #expect(!isEqual)
        let count = node.unescapedCount(in: other.span)
        #expect(count == 0 || length >= node.range.upperBound)
        let number = node.number(in: other.span)
        #expect(number == nil || number == 0)
      }
    }
  }
}

/// A text and its document together: the macros of Testing take neither spans nor values that cannot be copied.
private final class Parsed {
  var document = JSONDocument(nodeCapacity: 64)
  let bytes: [UInt8]

  init(_ text: String) {
    let source = Array(text.utf8)
    bytes = source
    if !document.parse(source.span) { Issue.record("refused: \(text)") }
  }

  var root: JSONNode? { document.root }

  func member(_ object: JSONNode, _ name: String) -> JSONNode? {
    let source = bytes
    let name = Array(name.utf8)
    return document.member(of: object, named: name.span, in: source.span)
  }

  func members(_ object: JSONNode) -> [JSONMember] {
    var members: [JSONMember] = []
    var cursor = document.children(of: object)
    while let member = document.nextMember(&cursor) { members.append(member) }
    return members
  }

  func elements(_ array: JSONNode) -> [JSONNode] {
    var elements: [JSONNode] = []
    var cursor = document.children(of: array)
    while let element = document.nextElement(&cursor) { elements.append(element) }
    return elements
  }

  func equals(_ node: JSONNode, _ text: String) -> Bool {
    let source = bytes
    let text = Array(text.utf8)
    return node.equals(text.span, in: source.span)
  }

  func string(_ node: JSONNode) -> String { String(decoding: bytes[node.range], as: UTF8.self) }

  func copy(_ node: JSONNode, room: Int) -> [UInt8]? {
    let source = bytes
    var copy = [UInt8](repeating: 0, count: max(room, 0))
    var buffer = copy.mutableSpan
    guard let count = node.copyUnescaped(to: &buffer, in: source.span) else { return nil }
    return room < 0 ? nil : Array(copy.prefix(count))
  }
}
