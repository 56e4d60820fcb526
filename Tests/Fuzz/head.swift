// Fuzzed: the judge of a request head.

import HTTPSyntax

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  var head = RequestHead()
  let outcome = head.parse(bytes.span)
  precondition(outcome == head.parse(bytes.span), "one head, two verdicts")
  var scanner = HeadScanner()
  let isReady = scanner.scan(bytes.span) == .ready
  switch outcome {
  case .incomplete: precondition(!isReady || bytes.count < 4, "the scanner waits for no verdict")
  case .refused: break
  case .complete:
    precondition(isReady, "a head that the scanner does not see")
    precondition(head.length >= 4 && head.length <= bytes.count)
    precondition(bytes[(head.length - 4)..<head.length].elementsEqual([13, 10, 13, 10]))
    precondition(!head.method.isEmpty && head.target.upperBound <= head.length)
    for index in 0..<head.fieldCount {
      let line = head.field(index)
      precondition(!line.name.isEmpty && line.name.upperBound < head.length && line.value.upperBound < head.length)
      // What could end a line, or hide one, is nowhere inside.
      precondition(bytes[line.value].allSatisfy { $0 == 9 || $0 >= 0x20 && $0 != 0x7F })
    }
    // What follows a head does not change it.
    let more = bytes[..<head.length] + [0x47, 0, 13, 10]
    let longer = Array(more)
    precondition(head.parse(longer.span) == .complete)
    // A head cut short is never complete.
    let cut = Array(bytes[..<(head.length - 1)])
    precondition(head.parse(cut.span) != .complete)
  }
  return 0
}
