// Fuzzed: the JSON reader.

import Token

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  var document = JSONDocument(nodeCapacity: bytes.count / 2 + 1, seed: 1)
  let isAccepted = document.parse(bytes.span)
  // Another seed and more room change no verdict.
  var roomy = JSONDocument(nodeCapacity: bytes.count + 16, seed: 0xFFFF_FFFF_0000_0000)
  precondition(roomy.parse(bytes.span) == isAccepted, "the verdict hangs on the seed or the room")
  precondition((document.root != nil) == isAccepted)
  var other = JSONDocument(nodeCapacity: bytes.count + 16)
  // Less work puts a text off, and changes nothing else.
  for most in [0, 8, 64, 320] {
    var work = most
    let outcome = other.parse(bytes.span, work: &work)
    precondition((work < 0) == (outcome == .unfinished) && (other.root != nil) == (outcome == .read))
    if outcome != .unfinished {
      precondition((outcome == .read) == isAccepted && (!isAccepted || other.nodeCount == document.nodeCount))
    }
  }
  guard let root = document.root else { return 0 }
  var seen = 0
  visit(root, document, bytes, depth: 1, &seen)
  precondition(seen == document.nodeCount)
  // White space around a text changes nothing; anything else behind it refuses.
  let padded = [0x20, 0x0A] + bytes + [0x09, 0x0D]
  precondition(other.parse(padded.span))
  let doubled = bytes + [0x2C]
  precondition(!other.parse(doubled.span))
  return 0
}

private func visit(
  _ node: JSONNode, _ document: borrowing JSONDocument, _ bytes: [UInt8], depth: Int, _ seen: inout Int
) {
  seen += 1
  precondition(depth <= 17 && node.range.upperBound <= bytes.count)
  switch node.kind {
  case .object:
    var names: Set<[UInt8]> = []
    var cursor = document.children(of: node)
    while let member = document.nextMember(&cursor) {
      let name = text(member.name, bytes)
      precondition(names.insert(name).inserted, "a name twice")
      precondition(document.member(of: node, named: name.span, in: bytes.span)?.range == member.value.range)
      seen += 1
      visit(member.value, document, bytes, depth: depth + 1, &seen)
    }
    precondition(names.count <= 64)
  case .array:
    var cursor = document.children(of: node)
    while let element = document.nextElement(&cursor) {
      visit(element, document, bytes, depth: depth + 1, &seen)
    }
  case .string: _ = text(node, bytes)
  case .number: if let number = node.number(in: bytes.span) { precondition(number.isFinite) }
  case .true, .false, .null: break
  }
}

private func text(_ node: JSONNode, _ bytes: [UInt8]) -> [UInt8] {
  var text: [UInt8] = []
  node.appendUnescaped(to: &text, in: bytes.span)
  precondition(text.count == node.unescapedCount(in: bytes.span) && text.count <= node.range.count)
  precondition(node.equals(text.span, in: bytes.span))
  precondition(String(validating: text, as: UTF8.self) != nil, "no UTF-8")
  return text
}
