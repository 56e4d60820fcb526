// Finds header lines by name in a judged head. What a value means is the caller's.

/// How often something occurs in a head. Its only place is told only where it is the only one, so that no caller can
/// take the first of several by mistake: a proxy may have meant another one.
public enum Occurrence: Equatable, Sendable {
  case none
  /// Once; the range is the value's place in the bytes, and may be empty.
  case one(Range<Int>)
  case several
}

/// A name of up to 32 bytes to look for, made once and kept: comparing allocates nothing.
///
/// A longer literal is a mistake in the program and traps where the name is made, never while a request is read.
struct NameBytes: Equatable, Sendable {
  private(set) var count = 0
  private(set) var bytes = InlineArray<32, UInt8>(repeating: 0)

  init(_ name: String) {
    for byte in name.utf8 {
      precondition(count < 32, "a name to look up has at most 32 bytes")
      bytes[count] = byte
      count += 1
    }
  }

  subscript(index: Int) -> UInt8 {
    @inline(__always) get { bytes[index] }
    set { bytes[index] = newValue }
  }

  static func == (a: NameBytes, b: NameBytes) -> Bool {
    guard a.count == b.count else { return false }
    for i in 0..<a.count where a[i] != b[i] { return false }
    return true
  }
}

/// A field name to look for, in any case (RFC 9110, section 5.1). At most 32 bytes; a longer literal traps when it is made.
public struct FieldName: ExpressibleByStringLiteral, Equatable, Sendable {
  private(set) var lowercase: NameBytes

  /// `name` in any case; it is kept in lower case.
  public init(_ name: String) {
    lowercase = NameBytes(name)
    for i in 0..<lowercase.count { lowercase[i] = lowercased(lowercase[i]) }
  }

  public init(stringLiteral name: String) { self.init(name) }
}

extension RequestHead {
  /// The index of the first header line called `name`, at `start` or behind it; nil where there is none.
  /// `bytes` are those that were parsed.
  public func firstIndex(of name: FieldName, in bytes: Span<UInt8>, from start: Int = 0) -> Int? {
    guard facts.length <= bytes.count else { return nil }
    var index = max(start, 0)
    while index < facts.fieldCount {
      let line = fields[index]
      // The length first: most lines differ in it, and a walk over 20 lines costs no more than 20 comparisons.
      if Int(line.nameLength) == name.lowercase.count, equals(bytes, Int(line.nameStart), name.lowercase) {
        return index
      }
      index += 1
    }
    return nil
  }

  /// How many header lines are called `name`. `bytes` are those that were parsed.
  public func count(of name: FieldName, in bytes: Span<UInt8>) -> Int {
    var count = 0
    var next = firstIndex(of: name, in: bytes)
    while let index = next {
      count += 1
      next = firstIndex(of: name, in: bytes, from: index + 1)
    }
    return count
  }

  /// The value of the one header line called `name`, or that there is none, or several. `bytes` are those that were parsed.
  /// One line may still hold a comma list: the value is as sent, white space around it left out.
  public func value(of name: FieldName, in bytes: Span<UInt8>) -> Occurrence {
    guard let index = firstIndex(of: name, in: bytes) else { return .none }
    guard firstIndex(of: name, in: bytes, from: index + 1) == nil else { return .several }
    return .one(field(index).value)
  }

  /// The caller has seen that the line lies within `bytes` and the lengths agree.
  @inline(__always)
  private func equals(_ bytes: Span<UInt8>, _ start: Int, _ lowercase: NameBytes) -> Bool {
    let name = lowercase.bytes.span
    for i in 0..<lowercase.count where lowercased(bytes[start &+ i]) != name[i] { return false }
    return true
  }
}
