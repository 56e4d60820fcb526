// Fuzzed: the fields of an HTTP/2 request on their way to a head of HTTP/1. Each field of the input is a byte with the
// length of its name, one with the length of its value, and both; the first byte says whether the stream ends.

import HTTPSyntax

private let pseudo: [(String, String)] = [
  (":method", "GET"), (":scheme", "https"), (":path", "/auth/a"), (":authority", "a"),
]

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  guard input.count > 1 else { return 0 }
  let endsStream = input[0] & 1 != 0
  var fields: [(name: [UInt8], value: [UInt8])] = []
  // Half of the inputs start from a good request, so that what follows is reached.
  if input[0] & 2 != 0 { fields = pseudo.map { (Array($0.0.utf8), Array($0.1.utf8)) } }
  var i = 1
  while i + 2 <= input.count {
    let nameEnd = min(i + 2 + Int(input[i] & 0x3F), input.count)
    let valueEnd = min(nameEnd + Int(input[i + 1]), input.count)
    fields.append((Array(input[i + 2..<nameEnd]), Array(input[nameEnd..<valueEnd])))
    i = valueEnd
  }
  let limits = HeadLimits(maxHeadBytes: 2048, maxFieldLines: 16)
  var decoded = DecodedFields()
  var head = RequestHead()
  for field in fields where !decoded.append(name: field.name.span, value: field.value.span, limits: limits) {
    precondition(decoded.size > 8192, "ended too early")
    return 0
  }
  let outcome = decoded.finish(endsStream: endsStream, limits: limits, into: &head)
  precondition(outcome != .incomplete)
  guard outcome == .complete else {
    precondition(head.length == 0 && head.fieldCount == 0, "told of a refused head")
    return 0
  }
  check(fields, decoded.bytes, head, endsStream)
  return 0
}

/// A good head is what was decoded, and nothing else: judged here in another way than in DecodedFields.
private func check(
  _ fields: [(name: [UInt8], value: [UInt8])], _ bytes: [UInt8], _ head: borrowing RequestHead, _ endsStream: Bool
) {
  func value(_ name: String) -> [[UInt8]] { fields.filter { $0.name.elementsEqual(name.utf8) }.map(\.value) }
  precondition(value(":method") == [Array(bytes[head.method])])
  precondition(value(":path") == [Array(bytes[head.target])])
  precondition(value(":scheme").count == 1 && value(":authority").count <= 1 && value("host").count <= 1)
  precondition(head.length == bytes.count && !(endsStream && head.announcesBody))
  var expected = fields.filter { $0.name.first != 0x3A && !$0.name.elementsEqual("cookie".utf8) }
  if let authority = value(":authority").first {
    expected.removeAll { $0.name.elementsEqual("host".utf8) }
    expected.insert((Array("host".utf8), authority), at: 0)
  }
  let crumbs = value("cookie")
  if !crumbs.isEmpty { expected.append((Array("cookie".utf8), Array(crumbs.joined(separator: [0x3B, 0x20])))) }
  precondition(head.fieldCount == expected.count, "a line more or less than was decoded")
  for index in expected.indices {
    let line = head.field(index)
    precondition(bytes[line.name].elementsEqual(expected[index].name))
    precondition(bytes[line.value].elementsEqual(expected[index].value))
    precondition(expected[index].name.allSatisfy { $0 > 0x20 && $0 < 0x7F && !($0 >= 0x41 && $0 <= 0x5A) })
    precondition(expected[index].value.allSatisfy { $0 == 9 || $0 >= 0x20 && $0 != 0x7F })
  }
}
