// Reads the fields of one protobuf message from bytes (https://protobuf.dev/programming-guides/encoding/), stricter than
// the format: one way to write a number, no groups. It knows no message; what a field means is its caller's.

/// One field of a message as it stands in the bytes.
struct ProtobufField {
  /// The four wire types that are read; groups (3, 4) have been deprecated since before Envoy.
  enum Wire: Equatable {
    case varint
    case fixed64
    case bytes
    case fixed32
  }

  /// 1 to 2^29 - 1.
  let number: UInt32
  let wire: Wire
  /// The value's place: what stands behind the length, for `bytes`; the number's own bytes for the others.
  let content: Range<Int>

  /// The content of a string, of bytes or of a message.
  func bytes() throws(MessageFault) -> Range<Int> {
    guard wire == .bytes else { throw .wrongWireType }
    return content
  }

  /// The same, for a field that may be there once: `seen` is what an earlier one has left.
  func onlyBytes(after seen: Range<Int>?) throws(MessageFault) -> Range<Int> {
    let content = try bytes()
    guard seen == nil else { throw .repeatedField }
    return content
  }
}

/// A place in a message, moved on field by field. Nothing is entered by itself, so depth costs nothing.
struct ProtobufCursor {
  private var position: Int
  private let end: Int

  /// The message in `range`, which lies within the bytes that are given to `next`.
  init(_ range: Range<Int>) {
    position = range.lowerBound
    end = range.upperBound
  }

  /// The next field, or nil at the end of the message. `bytes` are the same each time.
  mutating func next(_ bytes: Span<UInt8>) throws(MessageFault) -> ProtobufField? {
    guard position < end else { return nil }
    let tag = try varint(bytes)
    guard tag <= UInt64(UInt32.max), tag >> 3 != 0 else { throw .badTag }
    let start = position
    let wire: ProtobufField.Wire
    switch tag & 7 {
    case 0:
      _ = try varint(bytes)
      return ProtobufField(number: UInt32(tag >> 3), wire: .varint, content: start..<position)
    case 1:
      wire = .fixed64
      try skip(8)
    case 2:
      let length = try varint(bytes)
      let start = position
      // Compared before it becomes an Int, so that no length can trap or wrap.
      guard length <= UInt64(end - position) else { throw .truncated }
      position += Int(length)
      return ProtobufField(number: UInt32(tag >> 3), wire: .bytes, content: start..<position)
    case 5:
      wire = .fixed32
      try skip(4)
    default: throw .badTag
    }
    return ProtobufField(number: UInt32(tag >> 3), wire: wire, content: start..<position)
  }

  private mutating func skip(_ count: Int) throws(MessageFault) {
    guard count <= end - position else { throw .truncated }
    position += count
  }

  private mutating func varint(_ bytes: Span<UInt8>) throws(MessageFault) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < end {
      let byte = bytes[position]
      position += 1
      // The tenth byte holds the 64th bit alone.
      guard shift < 63 || byte <= 1 else { throw .overlongVarint }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 {
        guard byte != 0 || shift == 0 else { throw .overlongVarint }
        return value
      }
      shift += 7
    }
    throw .truncated
  }
}
