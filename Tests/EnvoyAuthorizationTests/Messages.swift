// Protobuf messages made by hand, and a small reader of them that shares nothing with the one under test.

func varint(_ value: UInt64) -> [UInt8] {
  value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
}

/// Bytes one after another. Tables are written with it and not with `+`, of which the compiler tires.
func join(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

/// A field of the wire type of messages and bytes, its content in parts.
func field(_ number: UInt64, _ parts: [UInt8]...) -> [UInt8] {
  let content = parts.flatMap { $0 }
  return join(varint(number << 3 | 2), varint(UInt64(content.count)), content)
}

/// A string.
func text(_ number: UInt64, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

func number(_ number: UInt64, _ value: UInt64) -> [UInt8] { join(varint(number << 3), varint(value)) }

/// A `CheckRequest` with this `attributes.request.http`.
func question(_ http: [UInt8]...) -> [UInt8] { field(1, field(4, field(2, http.flatMap { $0 }))) }

/// An entry of `headers`.
func header(_ name: String, _ value: String) -> [UInt8] { field(3, text(1, name), text(2, value)) }

let usual = join(text(2, "GET"), text(4, "/x?y"), text(5, "wiki.example.com"))

/// A message read by rote: the content of each field, numbers as their value. Traps at what is no message.
struct Reading {
  enum Value: Equatable {
    case number(UInt64)
    case bytes([UInt8])
  }
  var fields: [(number: Int, value: Value)] = []

  init(_ bytes: [UInt8]) {
    var rest = bytes[...]
    func next() -> UInt64 {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while let byte = rest.popFirst() {
        value |= UInt64(byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 { return value }
      }
      fatalError("ends in a number")
    }
    while !rest.isEmpty {
      let tag = next()
      switch tag & 7 {
      case 0: fields.append((Int(tag >> 3), .number(next())))
      case 1:
        fields.append((Int(tag >> 3), .number(rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) })))
        rest = rest.dropFirst(8)
      case 2:
        let count = Int(next())
        precondition(count <= rest.count, "ends in a field")
        fields.append((Int(tag >> 3), .bytes(Array(rest.prefix(count)))))
        rest = rest.dropFirst(count)
      default: fatalError("wire type \(tag & 7)")
      }
    }
  }

  subscript(number: Int) -> [Value] { fields.filter { $0.number == number }.map(\.value) }

  /// The messages or strings called `number`.
  func bytes(_ number: Int) -> [[UInt8]] {
    self[number].map { value in
      guard case .bytes(let bytes) = value else { fatalError("no bytes") }
      return bytes
    }
  }
  func texts(_ number: Int) -> [String] { bytes(number).map { String(decoding: $0, as: UTF8.self) } }
  func readings(_ number: Int) -> [Reading] { bytes(number).map(Reading.init) }
}

/// A response as Envoy sees it: what a message of no bytes says is an allow.
struct Answer: Equatable {
  var code: UInt64 = 0
  var hasStatus = false
  var isOK = false
  var httpStatus: UInt64?
  var headers: [String] = []
  var removed: [String] = []
  var body = ""
  var metadata: [String] = []

  init(_ message: [UInt8]) {
    let reading = Reading(message)
    for status in reading.readings(1) {
      hasStatus = status[1].count == 1
      if case .number(let value)? = status[1].last { code = value }
    }
    isOK = !reading[3].isEmpty
    for answer in reading.readings(2) + reading.readings(3) {
      headers = answer.readings(2).map { option in
        let header = option.readings(1)[0]
        let isKeptEmpty = option[4] == [.number(1)]
        precondition(option[3] == [.number(2)], "does not overwrite")
        return header.texts(1)[0] + "=" + (header.texts(2).first ?? (isKeptEmpty ? "" : "(dropped)"))
      }
    }
    for ok in reading.readings(3) { removed = ok.texts(5) }
    for denied in reading.readings(2) {
      if case .number(let value)? = denied.readings(1).first?[1].first { httpStatus = value }
      body = denied.texts(3).first ?? ""
    }
    for structure in reading.readings(4) {
      metadata = structure.readings(1).map { entry in
        let value = entry.readings(2)[0]
        if case .number(let bits)? = value[2].first {
          return entry.texts(1)[0] + "=\(Double(bitPattern: bits))"
        }
        return entry.texts(1)[0] + "=" + value.texts(3)[0]
      }
    }
  }
}
