// Fuzzed: the look-up of header lines by name.

import HTTPSyntax

private let name: FieldName = "cf-access-jwt-assertion"

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let lines = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8) + lines + [13, 10, 13, 10]
  var head = RequestHead()
  guard head.parse(bytes.span) == .complete else { return 0 }
  var values: [Range<Int>] = []
  for index in 0..<head.fieldCount {
    let line = head.field(index)
    let lowered = bytes[line.name].map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
    if lowered.elementsEqual("cf-access-jwt-assertion".utf8) { values.append(line.value) }
  }
  precondition(head.count(of: name, in: bytes.span) == values.count)
  switch head.value(of: name, in: bytes.span) {
  case .none: precondition(values.isEmpty)
  case .several: precondition(values.count > 1)
  case .one(let range): precondition(values == [range])
  }
  return 0
}
