// Writes fields of protobuf messages into a buffer whose room the caller has checked. Field numbers are 1 to 15, so a tag
// is one byte.

struct ProtobufWriter {
  /// Bytes written so far.
  private(set) var count = 0

  /// Bytes of a number as a varint, 1 to 10.
  static func bytes(ofVarint value: UInt64) -> Int {
    value == 0 ? 1 : (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7
  }

  /// Bytes of a field with tag, length and `content` bytes of content.
  static func bytes(ofField content: Int) -> Int {
    1 + bytes(ofVarint: UInt64(content)) + content
  }

  /// gRPC's prefix of a message that is not compressed.
  mutating func prefix(messageBytes: Int, _ out: inout MutableSpan<UInt8>) {
    byte(0, &out)
    for shift in stride(from: 24, through: 0, by: -8) {
      byte(UInt8(truncatingIfNeeded: messageBytes >> shift), &out)
    }
  }

  /// Tag and length of a message of `count` bytes, which the caller writes next.
  mutating func open(_ number: UInt8, count: Int, _ out: inout MutableSpan<UInt8>) {
    byte(number << 3 | 2, &out)
    varint(UInt64(count), &out)
  }

  /// A whole number or an enum.
  mutating func number(_ number: UInt8, _ value: UInt64, _ out: inout MutableSpan<UInt8>) {
    byte(number << 3, &out)
    varint(value, &out)
  }

  /// A string: the bytes of `text` in `range`.
  mutating func text(_ number: UInt8, _ text: Span<UInt8>, _ range: Range<Int>, _ out: inout MutableSpan<UInt8>) {
    open(number, count: range.count, &out)
    for index in range { byte(text[index], &out) }
  }

  mutating func double(_ number: UInt8, _ value: Double, _ out: inout MutableSpan<UInt8>) {
    byte(number << 3 | 1, &out)
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      byte(UInt8(truncatingIfNeeded: value.bitPattern >> shift), &out)
    }
  }

  private mutating func varint(_ value: UInt64, _ out: inout MutableSpan<UInt8>) {
    var rest = value
    while rest >= 0x80 {
      byte(UInt8(truncatingIfNeeded: rest) | 0x80, &out)
      rest >>= 7
    }
    byte(UInt8(rest), &out)
  }

  private mutating func byte(_ byte: UInt8, _ out: inout MutableSpan<UInt8>) {
    out[count] = byte
    count += 1
  }
}
