// Writes an `envoy.service.auth.v3.CheckResponse`, with gRPC's prefix, into a buffer of the caller's. The invariant:
// whatever the arguments are, the message starts with an explicit status, and that is 0 only where the decision is `allow`
// and all of the reply was written.

import HTTPSyntax

public enum CheckResponse {
  /// What was written.
  public struct Written: Equatable, Sendable {
    /// Bytes at the start of the buffer: gRPC's prefix and one message.
    public let count: Int
    /// False where the reply could not be written as it was decided, and a bare denial (13, status 500) stands for it: the
    /// buffer is too short, or the reply holds what must not leave. Worth a line in the log: it is a mistake of ours.
    public let isAsDecided: Bool
  }

  /// The fewest bytes that a buffer must have: room for the bare denial.
  public static var minimumCapacity: Int { bareDenial.count }

  /// Writes the answer to a question. Allocates nothing, and never fails: what cannot be written is denied.
  ///
  /// Headers overwrite those of the same name (`OVERWRITE_IF_EXISTS_OR_ADD`): on the way to the backend where the decision
  /// is `allow`, so that no client's own word arrives there, and to the client where it is a denial. One with an empty value
  /// is kept empty and, on `allow`, also listed in `headers_to_remove`, for an Envoy that would leave the client's in place.
  ///
  /// Names must be field names, values and metadata printable ASCII, the body UTF-8: Envoy does not parse a message with other
  /// text, and takes that for a failure, which `failure_mode_allow` lets in.
  ///
  /// - Parameters:
  ///   - text: the bytes that all places below lie in.
  ///   - headers: names and values.
  ///   - metadata: entries of `dynamic_metadata`; left out where there are none.
  ///   - out: at least `minimumCapacity` bytes; a shorter buffer traps.
  public static func write(
    _ decision: CheckDecision, text: Span<UInt8>, headers: Span<NamedValue>, metadata: Span<MetadataField>,
    into out: inout MutableSpan<UInt8>
  ) -> Written {
    precondition(out.count >= minimumCapacity, "no room for a denial")
    if mayLeave(decision, text, headers, metadata) {
      let sizes = CheckResponseSizes(decision, headers, metadata)
      if sizes.message + GRPCFrame.prefixBytes <= out.count {
        var writer = ProtobufWriter()
        write(decision, sizes, text, headers, metadata, &writer, &out)
        return Written(count: writer.count, isAsDecided: true)
      }
    }
    for index in 0..<bareDenial.count { out[index] = bareDenial[index] }
    return Written(count: bareDenial.count, isAsDecided: false)
  }

  /// The prefix, status code 13, and a `denied_response` whose HTTP status is 500.
  private static let bareDenial: [UInt8] = [
    0, 0, 0, 0, 11, 0x0A, 2, 0x08, 13, 0x12, 5, 0x0A, 3, 0x08, 0xF4, 0x03,
  ]

  private static func mayLeave(
    _ decision: CheckDecision, _ text: Span<UInt8>, _ headers: Span<NamedValue>, _ metadata: Span<MetadataField>
  ) -> Bool {
    func lies(_ range: Range<Int>) -> Bool { range.lowerBound >= 0 && range.upperBound <= text.count }
    for index in 0..<headers.count {
      let header = headers[index]
      guard lies(header.name), lies(header.value), FieldSyntax.isName(text.extracting(header.name)),
        FieldSyntax.isPrintable(text.extracting(header.value))
      else { return false }
    }
    for index in 0..<metadata.count {
      let key = metadata[index].key
      guard lies(key), !key.isEmpty, FieldSyntax.isPrintable(text.extracting(key)) else { return false }
      switch metadata[index].value {
      case .text(let range):
        guard lies(range), FieldSyntax.isPrintable(text.extracting(range)) else { return false }
      case .number(let number):
        guard number.isFinite else { return false }
      }
    }
    guard case .deny(let denial) = decision else { return true }
    return lies(denial.body) && isUTF8(text.extracting(denial.body))
  }

  private static func isUTF8(_ bytes: Span<UInt8>) -> Bool {
    (try? UTF8Span(validating: bytes)) != nil
  }

  private static func write(
    _ decision: CheckDecision, _ sizes: CheckResponseSizes, _ text: Span<UInt8>, _ headers: Span<NamedValue>,
    _ metadata: Span<MetadataField>, _ writer: inout ProtobufWriter, _ out: inout MutableSpan<UInt8>
  ) {
    writer.prefix(messageBytes: sizes.message, &out)
    writer.open(1, count: 2, &out)
    switch decision {
    case .allow:
      // Written although 0 is the default and could be left out: no allow looks like nothing.
      writer.number(1, 0, &out)
      writer.open(3, count: sizes.answer, &out)
      write(headers, text, &writer, &out)
      for index in 0..<headers.count where headers[index].value.isEmpty {
        writer.text(5, text, headers[index].name, &out)
      }
    case .deny(let denial):
      writer.number(1, UInt64(denial.code.rawValue), &out)
      writer.open(2, count: sizes.answer, &out)
      writer.open(1, count: 1 + ProtobufWriter.bytes(ofVarint: UInt64(denial.status.code)), &out)
      writer.number(1, UInt64(denial.status.code), &out)
      write(headers, text, &writer, &out)
      if !denial.body.isEmpty { writer.text(3, text, denial.body, &out) }
    }
    guard metadata.count > 0 else { return }
    writer.open(4, count: sizes.metadata, &out)
    for index in 0..<metadata.count {
      let field = metadata[index]
      writer.open(1, count: CheckResponseSizes.entry(field), &out)
      writer.text(1, text, field.key, &out)
      writer.open(2, count: CheckResponseSizes.value(field), &out)
      switch field.value {
      case .text(let range): writer.text(3, text, range, &out)
      case .number(let number): writer.double(2, number, &out)
      }
    }
  }

  private static func write(
    _ headers: Span<NamedValue>, _ text: Span<UInt8>, _ writer: inout ProtobufWriter, _ out: inout MutableSpan<UInt8>
  ) {
    for index in 0..<headers.count {
      let header = headers[index]
      writer.open(2, count: CheckResponseSizes.option(header), &out)
      writer.open(1, count: CheckResponseSizes.header(header), &out)
      writer.text(1, text, header.name, &out)
      if !header.value.isEmpty { writer.text(2, text, header.value, &out) }
      writer.number(3, CheckResponseSizes.overwriteIfExistsOrAdd, &out)
      // Without it an empty value is dropped, and the client's own would stay.
      if header.value.isEmpty { writer.number(4, 1, &out) }
    }
  }
}

/// How long the parts of a response will be: protobuf writes a part's length in front of it.
struct CheckResponseSizes {
  /// `HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD`.
  static let overwriteIfExistsOrAdd: UInt64 = 2

  /// Of the whole message, without gRPC's prefix.
  let message: Int
  /// Of `ok_response` or `denied_response`.
  let answer: Int
  /// Of `dynamic_metadata`.
  let metadata: Int

  init(_ decision: CheckDecision, _ headers: Span<NamedValue>, _ metadata: Span<MetadataField>) {
    var answer = 0
    for index in 0..<headers.count {
      answer += ProtobufWriter.bytes(ofField: Self.option(headers[index]))
      if decision == .allow, headers[index].value.isEmpty {
        answer += ProtobufWriter.bytes(ofField: headers[index].name.count)
      }
    }
    if case .deny(let denial) = decision {
      answer += ProtobufWriter.bytes(ofField: 1 + ProtobufWriter.bytes(ofVarint: UInt64(denial.status.code)))
      if !denial.body.isEmpty { answer += ProtobufWriter.bytes(ofField: denial.body.count) }
    }
    var fields = 0
    for index in 0..<metadata.count { fields += ProtobufWriter.bytes(ofField: Self.entry(metadata[index])) }
    self.answer = answer
    self.metadata = fields
    message = 4 + ProtobufWriter.bytes(ofField: answer) + (fields == 0 ? 0 : ProtobufWriter.bytes(ofField: fields))
  }

  /// Of a `HeaderValueOption`.
  static func option(_ header: NamedValue) -> Int {
    ProtobufWriter.bytes(ofField: self.header(header)) + 2 + (header.value.isEmpty ? 2 : 0)
  }

  /// Of a `HeaderValue`.
  static func header(_ header: NamedValue) -> Int {
    ProtobufWriter.bytes(ofField: header.name.count)
      + (header.value.isEmpty ? 0 : ProtobufWriter.bytes(ofField: header.value.count))
  }

  /// Of an entry of `Struct.fields`.
  static func entry(_ field: MetadataField) -> Int {
    ProtobufWriter.bytes(ofField: field.key.count) + ProtobufWriter.bytes(ofField: value(field))
  }

  /// Of a `google.protobuf.Value`.
  static func value(_ field: MetadataField) -> Int {
    switch field.value {
    case .text(let range): ProtobufWriter.bytes(ofField: range.count)
    case .number: 9
    }
  }
}
