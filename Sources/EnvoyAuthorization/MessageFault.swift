// Why a message is refused: one flat list. What the refusal means for a caller is decided where the answer is made.

/// Why bytes are not a message that we accept. There is no partial reading: after a fault nothing of the message counts,
/// and the answer to a question that cannot be read is a denial.
public enum MessageFault: UInt8, Error, CaseIterable, Equatable, Sendable {
  /// A value ends behind its message, or the bytes end within a value.
  case truncated
  /// A varint of more than 64 bits, of more than ten bytes, or written longer than it needs to be.
  case overlongVarint
  /// A tag with field number 0 or above 2^29 - 1, or with a wire type that is a group's or unknown.
  case badTag
  /// A field that we read, written with another wire type than its own.
  case wrongWireType
  /// A singular field that is there twice, two members of one `oneof`, or a header with `value` and `raw_value`. Another
  /// reader would merge them or take the last, so the two could judge different requests.
  case repeatedField
  /// A header or a context extension without a name.
  case unnamedEntry
  /// More header lines or context extensions than `CheckRequest` records.
  case tooManyEntries
  /// No `attributes.request.http`: nothing is asked.
  case noRequest
  /// More than `GRPCFrame.maximumMessageBytes`; a frame says so before the message is looked at.
  case tooLarge

  /// A stable name for logs: `a-z` and `_`.
  public var name: StaticString {
    switch self {
    case .truncated: "truncated"
    case .overlongVarint: "overlong_varint"
    case .badTag: "bad_tag"
    case .wrongWireType: "wrong_wire_type"
    case .repeatedField: "repeated_field"
    case .unnamedEntry: "unnamed_entry"
    case .tooManyEntries: "too_many_entries"
    case .noRequest: "no_request"
    case .tooLarge: "too_large"
    }
  }
}
