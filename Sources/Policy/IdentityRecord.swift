// A verified identity as one flat run of bytes that can be kept beside a remembered token and read without allocating:
// kind, issuer, sign-in time, the token's digest, five texts, and the claims that a plan names. Written by
// IdentityRecordWriter. Records come from this process alone; what is not one is usable for nothing.
//
//   0       1       2         4               12          20              52          72           74
//   format  kind    issuer    fingerprint     iat         SHA-256         5 texts     slot count   slots
//           0 user  UInt16    of the plan     Double      of the token    start,count UInt16       UInt16 each
//           1 other           UInt64          bits        32 bytes        UInt16 each              0: absent
//
// All numbers are little endian, starts count from the record's first byte. A claim's value is a tag and what it needs:
// text (count UInt16, bytes), number (count UInt16, canonical form, count UInt16, the JSON text), true, false, other
// (null, an object, an array in an array), cut (dropped: it does not fit), array (count UInt16, its values).

/// Reads identity records. The record is passed to each call; offsets are checked by the span.
public enum IdentityRecord {
  /// The longest record in bytes.
  public static let maximumBytes = 16_384

  static let format: UInt8 = 1
  static let textsAt = 52
  static let slotCountAt = 72
  static let slotsAt = 74

  /// The texts of each record.
  public enum Text: Int, Sendable, CaseIterable, BitwiseCopyable {
    case email, commonName, subject, nonce, country
  }

  /// The tag of a claim's value.
  enum Tag: UInt8, BitwiseCopyable {
    case text = 1, number, yes, no, other, cut, array
  }

  /// Whether the record was made for this plan: else its slots mean other claims.
  public static func isUsable(_ record: Span<UInt8>, for plan: ClaimPlan) -> Bool {
    isUsable(record, fingerprint: plan.fingerprint, slotCount: plan.paths.count)
  }

  static func isUsable(_ record: Span<UInt8>, fingerprint: UInt64, slotCount: Int) -> Bool {
    record.count >= slotsAt && record[0] == format && number64(record, 4) == fingerprint
      && number16(record, slotCountAt) == slotCount && record.count >= slotsAt + 2 * slotCount
  }

  /// Whether it is a person's: one with `email`.
  public static func isPerson(_ record: Span<UInt8>) -> Bool { record[1] == 0 }

  /// The issuer's place in the definitions' list.
  public static func issuer(_ record: Span<UInt8>) -> Int { number16(record, 2) }

  /// `iat`, seconds since 1970.
  public static func issuedAt(_ record: Span<UInt8>) -> Double { Double(bitPattern: number64(record, 12)) }

  /// Where the SHA-256 of the token's bytes lies.
  public static let tokenDigest = 20..<52

  /// Where a text lies; nil where the token has none, or one that is no string.
  public static func range(of text: Text, in record: Span<UInt8>) -> Range<Int>? {
    let at = textsAt + 4 * text.rawValue
    let start = number16(record, at)
    return start == 0 ? nil : start..<start + number16(record, at + 2)
  }

  /// Where the value of a slot begins; nil where the claim is absent.
  static func value(_ slot: Int, in record: Span<UInt8>) -> Int? {
    let start = number16(record, slotsAt + 2 * slot)
    return start == 0 ? nil : start
  }

  /// Where the value behind the one at `at` begins, for any but an array.
  static func next(_ record: Span<UInt8>, _ at: Int) -> Int {
    switch Tag(rawValue: record[at]) {
    case .text: at + 3 + number16(record, at + 1)
    case .number: numberText(record, at).upperBound
    default: at + 1
    }
  }

  /// The bytes of a text value.
  static func text(_ record: Span<UInt8>, _ at: Int) -> Range<Int> { at + 3..<at + 3 + number16(record, at + 1) }

  /// The canonical form of a number value.
  static func canonical(_ record: Span<UInt8>, _ at: Int) -> Range<Int> { text(record, at) }

  /// A number as the token writes it.
  static func numberText(_ record: Span<UInt8>, _ at: Int) -> Range<Int> {
    let end = canonical(record, at).upperBound
    return end + 2..<end + 2 + number16(record, end)
  }

  @inline(__always)
  static func number16(_ record: Span<UInt8>, _ at: Int) -> Int { Int(record[at]) | Int(record[at + 1]) << 8 }

  static func number64(_ record: Span<UInt8>, _ at: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<8 { value |= UInt64(record[at + index]) << UInt64(8 * index) }
    return value
  }
}
