// Frames as bytes, and what a server has sent as values: written here by hand, so that a test says just what is on the wire.

import CNGHTTP2

/// RFC 9113, section 6.
enum Kind {
  static let data: UInt8 = 0
  static let headers: UInt8 = 1
  static let priority: UInt8 = 2
  static let reset: UInt8 = 3
  static let settings: UInt8 = 4
  static let ping: UInt8 = 6
  static let goAway: UInt8 = 7
  static let windowUpdate: UInt8 = 8
  static let continuation: UInt8 = 9
}

let endStream: UInt8 = 0x1
let acknowledgement: UInt8 = 0x1
let endHeaders: UInt8 = 0x4
let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

func bigEndian(_ number: UInt32, bytes: Int = 4) -> [UInt8] {
  (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
}

func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
  bigEndian(UInt32(payload.count), bytes: 3) + [kind, flags] + bigEndian(stream) + payload
}

func settings(_ entries: [(UInt16, UInt32)] = []) -> [UInt8] {
  frame(Kind.settings, 0, 0, entries.flatMap { bigEndian(UInt32($0.0), bytes: 2) + bigEndian($0.1) })
}

/// An HPACK integer with a prefix of `bits` bits (RFC 7541, section 5.1).
private func integer(_ number: Int, bits: Int, first: UInt8 = 0) -> [UInt8] {
  let limit = 1 << bits - 1
  guard number >= limit else { return [first | UInt8(number)] }
  var out = [first | UInt8(limit)]
  var rest = number - limit
  while rest >= 128 {
    out.append(UInt8(rest & 0x7F) | 0x80)
    rest >>= 7
  }
  return out + [UInt8(rest)]
}

/// A literal field that is not indexed, new name, no Huffman code (RFC 7541, section 6.2.2).
func literal(_ name: [UInt8], _ value: [UInt8], indexed: Bool = false) -> [UInt8] {
  [indexed ? 0x40 : 0] + integer(name.count, bits: 7) + name + integer(value.count, bits: 7) + value
}

typealias Field = (name: String, value: String)

func block(_ fields: [Field]) -> [UInt8] { fields.flatMap { literal(Array($0.name.utf8), Array($0.value.utf8)) } }

let requestFields: [Field] = [
  (":method", "GET"), (":scheme", "https"), (":path", "/auth/a"), (":authority", "gateway:8443"),
]

func request(_ stream: UInt32, _ fields: [Field] = requestFields, flags: UInt8 = endStream | endHeaders) -> [UInt8] {
  frame(Kind.headers, flags, stream, block(fields))
}

let ping = frame(Kind.ping, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0])

func reset(_ stream: UInt32, _ code: UInt32 = 8) -> [UInt8] { frame(Kind.reset, 0, stream, bigEndian(code)) }

/// A frame that the server has sent.
struct Sent: Equatable {
  var kind: UInt8
  var flags: UInt8
  var stream: UInt32
  var payload: [UInt8]
  /// The fields of a HEADERS frame.
  var fields: [String] = []

  var code: UInt32? {
    switch kind {
    case Kind.reset: payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    case Kind.goAway: payload[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
    default: nil
    }
  }

  /// The last stream that a GOAWAY names.
  var lastStream: UInt32 { payload.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
}

/// Reads what a server sends, over the whole life of a connection: HPACK has a memory.
@safe final class FrameReader {
  private let inflater: OpaquePointer

  init() {
    var inflater: OpaquePointer?
    precondition(unsafe nghttp2_hd_inflate_new(&inflater) == 0)
    unsafe self.inflater = inflater!
  }

  deinit { unsafe nghttp2_hd_inflate_del(inflater) }

  func read(_ bytes: [UInt8]) -> [Sent] {
    var frames: [Sent] = []
    var i = 0
    while i < bytes.count {
      let length = bytes[i..<i + 3].reduce(0) { $0 << 8 | Int($1) }
      let stream = bytes[i + 5..<i + 9].reduce(0) { $0 << 8 | UInt32($1) }
      var sent = Sent(
        kind: bytes[i + 3], flags: bytes[i + 4], stream: stream, payload: Array(bytes[i + 9..<i + 9 + length]))
      if sent.kind == Kind.headers { sent.fields = inflate(sent.payload) }
      frames.append(sent)
      i += 9 + length
    }
    return frames
  }

  private func inflate(_ block: [UInt8]) -> [String] {
    var fields: [String] = []
    var rest = block[...]
    while true {
      var field = unsafe nghttp2_nv()
      var flags: Int32 = 0
      let bytes = Array(rest)
      let used = unsafe nghttp2_hd_inflate_hd2(inflater, &field, &flags, bytes, bytes.count, 1)
      precondition(used >= 0, "the server's HPACK is wrong")
      rest = rest.dropFirst(used)
      if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
        let name = unsafe UnsafeBufferPointer(start: field.name, count: field.namelen)
        let value = unsafe UnsafeBufferPointer(start: field.value, count: field.valuelen)
        unsafe fields.append(String(decoding: name, as: UTF8.self) + "=" + String(decoding: value, as: UTF8.self))
      }
      if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
        unsafe nghttp2_hd_inflate_end_headers(inflater)
        return fields
      }
      if rest.isEmpty { return fields }
    }
  }
}
