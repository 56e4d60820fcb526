// Fuzzed: the search for one cookie over Cookie lines. A zero byte in the input starts another line.

import HTTPSyntax

private let name: CookieName = "CF_Authorization"
private let prefix = Array("CF_Authorization=".utf8)

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let lines = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    .split(separator: 0, omittingEmptySubsequences: false)
  var bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)
  for line in lines { bytes += Array("Cookie: ".utf8) + line + [13, 10] }
  bytes += [13, 10]
  var head = RequestHead()
  guard head.parse(bytes.span) == .complete, head.fieldCount == lines.count + 1 else { return 0 }
  // The same once more, by splitting.
  var values: [ArraySlice<UInt8>] = []
  for index in 0..<head.fieldCount {
    let line = head.field(index)
    guard bytes[line.name].elementsEqual("Cookie".utf8) else { continue }
    for pair in bytes[line.value].split(separator: 0x3B) {
      let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 9 }
      var trimmed = pair.drop(while: isBlank)
      while let last = trimmed.last, isBlank(last) { trimmed.removeLast() }
      // White space behind the `=` is the value's own.
      if trimmed.starts(with: prefix) { values.append(trimmed.dropFirst(prefix.count)) }
    }
  }
  switch head.cookie(name, in: bytes.span) {
  case .none: precondition(values.isEmpty)
  case .several: precondition(!values.allSatisfy { $0 == values[0] })
  case .one(let range): precondition(!values.isEmpty && values.allSatisfy { $0 == bytes[range] })
  }
  return 0
}
