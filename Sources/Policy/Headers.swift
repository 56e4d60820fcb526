// The file's headers of a reply: which bytes leave for a claim, and how many at most. The five of the contract are
// written elsewhere.

/// The bounds of a file's headers.
public enum HeaderLimits {
  /// Headers of an application, the global ones counted.
  public static let count = 32
  /// Bytes of one value as it leaves.
  public static let bytesEach = 4096
  /// Bytes of all values together.
  public static let bytesTogether = 8192
}

enum HeaderEscape {
  /// Appends a byte as a header may hold it: outside 0x20 to 0x7E, and `%`, as `%XX`. CR and LF would end the header.
  @inline(__always)
  static func append(_ byte: UInt8, to buffer: inout [UInt8]) {
    if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
      buffer.append(byte)
    } else {
      appendEscaped(byte, to: &buffer)
    }
  }

  static func appendEscaped(_ byte: UInt8, to buffer: inout [UInt8]) {
    func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x41 + value - 10 }
    buffer.append(UInt8(ascii: "%"))
    buffer.append(digit(byte >> 4))
    buffer.append(digit(byte & 0x0F))
  }
}

extension PolicySet {
  /// Appends the application's headers as whole lines, each `Name: value` with CR and LF: all of them, empty where there
  /// is no value. Allocates only where the buffer must grow.
  ///
  /// - Parameter identity: the verified identity's record; an empty span where there is none, and then claims are empty.
  /// - Returns: whether all values are within ``HeaderLimits``; else the request must be denied as `identity`, and what
  ///   was appended is unspecified.
  public func appendHeaders(of application: Int, identity: Span<UInt8>, to buffer: inout [UInt8]) -> Bool {
    let hasIdentity = IdentityRecord.isUsable(
      identity, fingerprint: claimPlan.fingerprint, slotCount: claimPlan.paths.count)
    var together = 0
    for index in applications[application].headers {
      let header = headers[index]
      texts.append(header.name, to: &buffer)
      buffer.append(UInt8(ascii: ":"))
      buffer.append(UInt8(ascii: " "))
      let start = buffer.count
      if header.slot < 0 {
        texts.append(header.text, to: &buffer)
      } else if hasIdentity, let value = IdentityRecord.value(Int(header.slot), in: identity) {
        guard append(header, identity, value, &buffer) else { return false }
      }
      let count = buffer.count - start
      together += count
      guard count <= HeaderLimits.bytesEach, together <= HeaderLimits.bytesTogether else { return false }
      buffer.append(0x0D)
      buffer.append(0x0A)
    }
    return true
  }

  /// The names of the application's headers, in the order in which they leave. Allocates.
  public func headerNames(of application: Int) -> [String] {
    applications[application].headers.map { string(headers[$0].name) }
  }

  /// False where a part of the claim was cut away.
  private func append(_ header: Header, _ identity: Span<UInt8>, _ at: Int, _ buffer: inout [UInt8]) -> Bool {
    guard IdentityRecord.Tag(rawValue: identity[at]) == .array else {
      return appendScalar(identity, at, isElement: false, &buffer)
    }
    guard header.hasJoin else { return true }
    var member = at + 3
    var isFirst = true
    for _ in 0..<IdentityRecord.number16(identity, at + 1) {
      // Null and objects have no text; an element that is missing must not look like an empty one.
      if IdentityRecord.Tag(rawValue: identity[member]) != .other {
        if !isFirst { texts.append(header.text, to: &buffer) }
        isFirst = false
        guard appendScalar(identity, member, isElement: true, &buffer) else { return false }
      }
      member = IdentityRecord.next(identity, member)
    }
    return true
  }

  private func appendScalar(_ identity: Span<UInt8>, _ at: Int, isElement: Bool, _ buffer: inout [UInt8]) -> Bool {
    switch IdentityRecord.Tag(rawValue: identity[at]) {
    case .text:
      for index in IdentityRecord.text(identity, at) {
        let byte = identity[index]
        // An element with a comma in its name would be two: one group more than its owner has.
        if isElement, byte == UInt8(ascii: ",") {
          HeaderEscape.appendEscaped(byte, to: &buffer)
        } else {
          HeaderEscape.append(byte, to: &buffer)
        }
      }
    case .number: for index in IdentityRecord.numberText(identity, at) { buffer.append(identity[index]) }
    case .yes: append("true", &buffer)
    case .no: append("false", &buffer)
    case .cut: return false
    case .other, .array, nil: break
    }
    return true
  }

  private func append(_ text: StaticString, _ buffer: inout [UInt8]) {
    // The literal's bytes live as long as the program.
    text.withUTF8Buffer { bytes in
      for index in 0..<bytes.count { unsafe buffer.append(bytes[index]) }
    }
  }
}
