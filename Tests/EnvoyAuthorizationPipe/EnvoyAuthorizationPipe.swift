// The target EnvoyAuthorization behind a pipe, so that other implementations of protobuf can be held against it: no HTTP, no
// decision. Bytes are in hex, `-` for none. Each line of stdin gets one line:
//
//   read HEX                                    a CheckRequest: `fault NAME`, or `method=HEX … header=HEX:HEX …`
//   answer CAPACITY CODE STATUS BODY HEADERS METADATA
//                                               CODE 0 allows; HEADERS is HEX:HEX,…, METADATA is HEX:HEX,… or HEX#NUMBER,…
//                                               `true HEX` or `false HEX`: written as decided, and the bytes
//   frame HEX                                   a body that has ended: `message HEX` or `refused NAME STATUS`
//   health HEX                                  a HealthCheckRequest: `server`, `authorization`, `unknown`, `fault NAME`
//   healthy STATUS                              a HealthCheckResponse: the bytes

import EnvoyAuthorization

@main struct EnvoyAuthorizationPipe {
  struct Misuse: Error, CustomStringConvertible { let description: String }

  static func main() throws {
    var request = CheckRequest()
    print("ready")
    while let line = readLine() {
      let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
      switch (words[0], words.count) {
      case ("read", 2): print(read(bytes(words[1]), &request))
      case ("answer", 7): print(try answer(Array(words.dropFirst())))
      case ("frame", 2): print(frame(bytes(words[1])))
      case ("health", 2): print(health(bytes(words[1])))
      case ("healthy", 2):
        guard let status = UInt8(words[1]).flatMap(HealthStatus.init(rawValue:)) else {
          throw Misuse(description: line)
        }
        var out = [UInt8](repeating: 0xFF, count: HealthStatus.responseBytes)
        var span = out.mutableSpan
        status.write(into: &span)
        print(hex(out))
      default: throw Misuse(description: line)
      }
    }
  }

  private static func read(_ message: [UInt8], _ request: inout CheckRequest) -> String {
    do throws(MessageFault) {
      try request.read(message.span)
    } catch {
      return "fault \(error.name)"
    }
    func text(_ range: Range<Int>) -> String { hex(message[range]) }
    var words = [
      "method=" + text(request.method), "path=" + text(request.path), "host=" + text(request.host),
      "scheme=" + text(request.scheme), "protocol=" + text(request.httpProtocol),
      "source=" + text(request.sourceAddress ?? 0..<0),
    ]
    for index in 0..<request.headerCount {
      let header = request.header(index)
      words.append("header=" + text(header.name) + ":" + text(header.value))
    }
    let application =
      switch request.contextExtension("application", in: message.span) {
      case .none: "none"
      case .several: "several"
      case .one(let range): text(range)
      }
    words.append("application=" + application)
    return words.joined(separator: " ")
  }

  private static func answer(_ words: [String]) throws -> String {
    var text: [UInt8] = []
    func place(_ word: Substring) -> Range<Int> {
      let start = text.count
      text += bytes(String(word))
      return start..<text.count
    }
    guard let capacity = Int(words[0]), let code = UInt8(words[1]) else { throw Misuse(description: words[0]) }
    var decision = CheckDecision.allow
    if code != 0 {
      guard let code = DenialCode(rawValue: code), let status = UInt16(words[2]).flatMap({ DenialStatus($0) }) else {
        throw Misuse(description: "no denial: \(words[1]) \(words[2])")
      }
      decision = .deny(CheckDenial(code: code, status: status, body: place(words[3][...])))
    }
    var headers: [NamedValue] = []
    for word in words[4].split(separator: ",") {
      let parts = word.split(separator: ":")
      headers.append(NamedValue(name: place(parts[0]), value: place(parts[1])))
    }
    var metadata: [MetadataField] = []
    for word in words[5].split(separator: ",") {
      if let mark = word.firstIndex(of: "#"), let number = Double(word[word.index(after: mark)...]) {
        metadata.append(MetadataField(key: place(word[..<mark]), value: .number(number)))
      } else {
        let parts = word.split(separator: ":")
        metadata.append(MetadataField(key: place(parts[0]), value: .text(place(parts[1]))))
      }
    }
    var out = [UInt8](repeating: 0xFF, count: max(capacity, CheckResponse.minimumCapacity))
    var span = out.mutableSpan
    let written = CheckResponse.write(
      decision, text: text.span, headers: headers.span, metadata: metadata.span, into: &span)
    return "\(written.isAsDecided) " + hex(out[..<written.count])
  }

  private static func frame(_ body: [UInt8]) -> String {
    switch GRPCFrame.read(body.span, hasEnded: true) {
    case .incomplete: "incomplete"
    case .message(let range): "message " + hex(body[range])
    case .refused(let refusal): "refused \(refusal.name) \(refusal.status.rawValue)"
    }
  }

  private static func health(_ message: [UInt8]) -> String {
    do throws(MessageFault) {
      return "\(try HealthService(reading: message.span))"
    } catch {
      return "fault \(error.name)"
    }
  }

  private static func bytes(_ text: String) -> [UInt8] {
    if text == "-" { return [] }
    let digits = text.utf8.map { ($0 & 0x0F) + ($0 >= 0x40 ? 9 : 0) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  private static func hex(_ bytes: some Collection<UInt8>) -> String {
    if bytes.isEmpty { return "-" }
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }
}
