// The same rules written a second time, slowly and in another way: lines are split first and judged by patterns, so a
// slip in the one-pass judge and a slip here are unlikely to be the same one.

/// The length of the head at the start of `bytes` if it is accepted under the default limits, else nil.
func referenceLength(_ bytes: [UInt8]) -> Int? {
  let end = bytes.indices.dropLast(3).first { bytes[$0...].starts(with: [13, 10, 13, 10]) }
  guard let end, end + 4 <= 32_768 else { return nil }
  // One scalar a byte, so that the patterns see bytes.
  var lines = [String]()
  var line = String.UnicodeScalarView()
  var rest = bytes[..<end]
  while let byte = rest.popFirst() {
    if byte == 13, rest.first == 10 {
      rest.removeFirst()
      lines.append(String(line))
      line = String.UnicodeScalarView()
    } else {
      line.append(Unicode.Scalar(byte))
    }
  }
  lines.append(String(line))

  let requestLine = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+) (\/(?:[!"$-.0-~][!"$-~]*)?|\*) HTTP\/1\.([01])/
  guard let start = lines[0].wholeMatch(of: requestLine.matchingSemantics(.unicodeScalar)) else { return nil }
  guard start.1 != "CONNECT", start.1 != "TRACE", start.2 != "*" || start.1 == "OPTIONS" else { return nil }
  guard start.2.utf8.count <= 8192, lines.count <= 129 else { return nil }

  var values = [String: [String]]()
  let fieldLine = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\u{20}-\u{7E}\u{80}-\u{FF}]*)/
  for line in lines.dropFirst() {
    guard let field = line.wholeMatch(of: fieldLine.matchingSemantics(.unicodeScalar)) else { return nil }
    var value = field.2.unicodeScalars
    while value.last == " " || value.last == "\t" { value.removeLast() }
    values[field.1.lowercased(), default: []].append(String(value))
  }
  let hosts = values["host"] ?? []
  guard hosts.count == 1 || hosts.isEmpty && start.3 == "0" else { return nil }
  // The bracketed forms have tables of their own.
  let host = /(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+(?::([0-9]*))?/
  for value in hosts {
    guard let match = value.wholeMatch(of: host) else { return nil }
    if let port = match.1, !port.isEmpty { guard let number = Int(port), number <= 65535 else { return nil } }
  }
  let lengths = values["content-length"] ?? []
  let encodings = values["transfer-encoding"] ?? []
  guard lengths.count + encodings.count <= 1 else { return nil }
  guard lengths.allSatisfy({ $0.wholeMatch(of: /[0-9]{1,18}/) != nil }) else { return nil }
  guard encodings.allSatisfy({ $0.lowercased() == "chunked" }), encodings.isEmpty || start.3 == "1" else { return nil }
  let expectations = values["expect"] ?? []
  guard expectations.count <= 1, expectations.allSatisfy({ $0.lowercased() == "100-continue" }) else { return nil }
  return end + 4
}
