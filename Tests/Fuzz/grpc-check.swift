// Fuzzed: Envoy's questions and our answers to them. The input is a `CheckRequest`, and its bytes are also what a reply is
// made of.

import EnvoyAuthorization
import HTTPSyntax

/// libFuzzer calls from one thread.
private final class State: @unchecked Sendable {
  var request = CheckRequest()
  var again = CheckRequest()
}
private let state = State()

private func read(_ request: inout CheckRequest, _ bytes: [UInt8]) -> MessageFault? {
  do throws(MessageFault) {
    try request.read(bytes.span)
    return nil
  } catch {
    return error
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  questions(bytes)
  answers(bytes)
  frames(bytes)
  return 0
}

private func questions(_ bytes: [UInt8]) {
  let fault = read(&state.request, bytes)
  precondition(read(&state.again, bytes) == fault, "one message, two verdicts")
  precondition((fault == .tooLarge) == (bytes.count > GRPCFrame.maximumMessageBytes))
  var places = [
    state.request.method, state.request.path, state.request.host, state.request.scheme, state.request.httpProtocol,
  ]
  if let source = state.request.sourceAddress { places.append(source) }
  for index in 0..<state.request.headerCount {
    let header = state.request.header(index)
    precondition(!header.name.isEmpty, "a header without a name")
    places += [header.name, header.value]
  }
  precondition(places.allSatisfy { $0.upperBound <= bytes.count }, "outside of the message")
  if fault != nil { precondition(places.allSatisfy(\.isEmpty), "a refused message speaks") }

  // Looking one up agrees with a walk over all.
  let name: FieldName = "cookie"
  let values = (0..<state.request.headerCount).map { state.request.header($0) }
    .filter { bytes[$0.name].map { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 } == Array("cookie".utf8) }
  switch state.request.value(of: name, in: bytes.span) {
  case .none: precondition(values.isEmpty)
  case .one(let range): precondition(values.count == 1 && values[0].value == range)
  case .several: precondition(values.count > 1)
  }
  if fault == nil {
    // What nobody has asked for changes nothing: an unknown field behind it, where there is room.
    let longer = bytes + [0x7A, 1, 0x61]
    if longer.count <= GRPCFrame.maximumMessageBytes { precondition(read(&state.again, longer) == nil) }
  }
}

/// The first bytes choose the decision, the buffer and where the parts lie; the rest is text.
private func answers(_ bytes: [UInt8]) {
  guard bytes.count >= 8 else { return }
  let text = Array(bytes[8...])
  func place(_ from: UInt8, _ length: UInt8) -> Range<Int> { Int(from)..<Int(from) + Int(length) }
  let headers = [
    NamedValue(name: place(0, bytes[2] & 15), value: place(bytes[3], bytes[4])),
    NamedValue(name: place(0, bytes[2] & 7), value: 0..<0),
  ]
  let metadata = [MetadataField(key: place(0, bytes[2] & 3), value: .text(place(bytes[3], bytes[4])))]
  let codes = DenialCode.allCases
  let isAllow = bytes[0] & 1 == 0
  let denial = CheckDenial(
    code: codes[Int(bytes[1]) % codes.count], status: DenialStatus(300 + UInt16(bytes[5])) ?? .forbidden,
    body: place(bytes[6], bytes[7]))
  var out = [UInt8](repeating: 0xFF, count: CheckResponse.minimumCapacity + 8 * Int(bytes[1]))
  var span = out.mutableSpan
  let written = CheckResponse.write(
    isAllow ? .allow : .deny(denial), text: text.span, headers: headers.span, metadata: metadata.span, into: &span)
  precondition(out[written.count...].allSatisfy { $0 == 0xFF }, "written behind the end")
  precondition(out[0] == 0 && out[1..<5].reduce(0) { $0 << 8 | Int($1) } == written.count - 5)
  // The status comes first, two bytes long: its code is 0 for an allow that was written whole, and for nothing else.
  precondition(out[5] == 0x0A && out[6] == 2 && out[7] == 0x08, "no explicit status")
  precondition((out[8] == 0) == (isAllow && written.isAsDecided), "an allow that nobody has decided")
  precondition(out[9] == (out[8] == 0 ? 0x1A : 0x12))
}

private func frames(_ bytes: [UInt8]) {
  switch GRPCFrame.read(bytes.span, hasEnded: true) {
  case .incomplete: preconditionFailure("nothing more will come")
  case .message(let range):
    precondition(range == 5..<bytes.count && bytes[0] == 0 && range.count <= GRPCFrame.maximumMessageBytes)
  case .refused(let refusal): precondition(refusal.status != .ok)
  }
  if bytes.count <= 64 {
    _ = GRPCTimeout.nanoseconds(bytes.span)
    _ = GRPCMethod(path: bytes.span)
  }
  do throws(MessageFault) {
    _ = try HealthService(reading: bytes.span)
  } catch {
    precondition(error != .noRequest)
  }
}
