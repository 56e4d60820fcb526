// The words that the parser itself compares with, as bytes: a String has no place here, and a global would be
// initialised lazily. Lower case unless the protocol is case-sensitive there.

enum Words {
  static var connect: InlineArray<7, UInt8> { [0x43, 0x4F, 0x4E, 0x4E, 0x45, 0x43, 0x54] }
  static var trace: InlineArray<5, UInt8> { [0x54, 0x52, 0x41, 0x43, 0x45] }
  static var head: InlineArray<4, UInt8> { [0x48, 0x45, 0x41, 0x44] }
  static var options: InlineArray<7, UInt8> { [0x4F, 0x50, 0x54, 0x49, 0x4F, 0x4E, 0x53] }
  /// `HTTP/`
  static var http: InlineArray<5, UInt8> { [0x48, 0x54, 0x54, 0x50, 0x2F] }

  static var host: InlineArray<4, UInt8> { [0x68, 0x6F, 0x73, 0x74] }
  static var cookie: InlineArray<6, UInt8> { [0x63, 0x6F, 0x6F, 0x6B, 0x69, 0x65] }
  static var expect: InlineArray<6, UInt8> { [0x65, 0x78, 0x70, 0x65, 0x63, 0x74] }
  static var connection: InlineArray<10, UInt8> {
    [0x63, 0x6F, 0x6E, 0x6E, 0x65, 0x63, 0x74, 0x69, 0x6F, 0x6E]
  }
  /// `content-length`
  static var contentLength: InlineArray<14, UInt8> {
    [0x63, 0x6F, 0x6E, 0x74, 0x65, 0x6E, 0x74, 0x2D, 0x6C, 0x65, 0x6E, 0x67, 0x74, 0x68]
  }
  /// `transfer-encoding`
  static var transferEncoding: InlineArray<17, UInt8> {
    [
      0x74, 0x72, 0x61, 0x6E, 0x73, 0x66, 0x65, 0x72, 0x2D, 0x65, 0x6E, 0x63, 0x6F, 0x64, 0x69, 0x6E, 0x67,
    ]
  }

  static var chunked: InlineArray<7, UInt8> { [0x63, 0x68, 0x75, 0x6E, 0x6B, 0x65, 0x64] }
  static var close: InlineArray<5, UInt8> { [0x63, 0x6C, 0x6F, 0x73, 0x65] }
  /// `keep-alive`
  static var keepAlive: InlineArray<10, UInt8> {
    [0x6B, 0x65, 0x65, 0x70, 0x2D, 0x61, 0x6C, 0x69, 0x76, 0x65]
  }
  /// `100-continue`
  static var hundredContinue: InlineArray<12, UInt8> {
    [0x31, 0x30, 0x30, 0x2D, 0x63, 0x6F, 0x6E, 0x74, 0x69, 0x6E, 0x75, 0x65]
  }
  /// `/auth/`
  static var authPrefix: InlineArray<6, UInt8> { [0x2F, 0x61, 0x75, 0x74, 0x68, 0x2F] }
}

/// Whether `range` of `bytes` is `word`, byte for byte.
@inline(__always)
func matches<let count: Int>(_ bytes: Span<UInt8>, _ range: Range<Int>, exactly word: InlineArray<count, UInt8>) -> Bool
{
  guard range.count == count, range.upperBound <= bytes.count else { return false }
  for i in 0..<count where bytes[range.lowerBound &+ i] != word[i] { return false }
  return true
}

/// Whether `range` of `bytes` is `word` in any case; `word` is given in lower case.
@inline(__always)
func matches<let count: Int>(_ bytes: Span<UInt8>, _ range: Range<Int>, anyCase word: InlineArray<count, UInt8>) -> Bool
{
  guard range.count == count, range.upperBound <= bytes.count else { return false }
  for i in 0..<count where lowercased(bytes[range.lowerBound &+ i]) != word[i] { return false }
  return true
}
