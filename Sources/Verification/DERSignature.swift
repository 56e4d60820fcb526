// An ECDSA signature from the form of a JWS to the form that OpenSSL reads. Nothing else; no memory from the heap.

/// `SEQUENCE { INTEGER r, INTEGER s }` in DER (RFC 3279 section 2.2.3) of a raw `r || s` (RFC 7518 section 3.4).
struct DERSignature {
  /// The encoding is the first `count` bytes.
  private(set) var bytes = InlineArray<144, UInt8>(repeating: 0)
  private(set) var count = 0

  /// Nil unless `raw` has the length of one of the three curves: 64, 96 or 132 bytes.
  ///
  /// The encoding is the one that DER allows, so no two raw signatures share one. r or s of zero stays zero: OpenSSL
  /// refuses that (CVE-2022-21449 was not to).
  init?(raw: Span<UInt8>) {
    guard raw.count == 64 || raw.count == 96 || raw.count == 132 else { return nil }
    let half = raw.count / 2
    let r = Self.trimmed(raw, 0..<half)
    let s = Self.trimmed(raw, half..<raw.count)
    let content = 4 + Self.length(raw, r) + Self.length(raw, s)
    append(0x30)
    // At most 4 + 2 * 67 = 138 bytes; from 128 on the length takes the long form.
    if content >= 128 { append(0x81) }
    append(UInt8(content))
    append(integer: raw, r)
    append(integer: raw, s)
  }

  private static func trimmed(_ raw: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var start = range.lowerBound
    while start < range.upperBound - 1 && raw[start] == 0 { start += 1 }
    return start..<range.upperBound
  }

  /// A leading zero keeps a number with the highest bit set from being negative.
  private static func length(_ raw: Span<UInt8>, _ range: Range<Int>) -> Int {
    range.count + (raw[range.lowerBound] >= 0x80 ? 1 : 0)
  }

  private mutating func append(integer raw: Span<UInt8>, _ range: Range<Int>) {
    append(0x02)
    append(UInt8(Self.length(raw, range)))
    if raw[range.lowerBound] >= 0x80 { append(0) }
    for at in range { append(raw[at]) }
  }

  private mutating func append(_ byte: UInt8) {
    bytes[count] = byte
    count += 1
  }
}
