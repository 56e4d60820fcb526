// Finds one cookie over all Cookie lines of a judged head. What the value means is the caller's; nothing is unquoted or
// decoded, so that no two readers can see two values.

/// A cookie's name to look for, exact in case. At most 32 bytes; a longer literal traps when it is made.
public struct CookieName: ExpressibleByStringLiteral, Equatable, Sendable {
  let bytes: NameBytes

  /// `name` as the client must send it.
  public init(_ name: String) { bytes = NameBytes(name) }

  public init(stringLiteral name: String) { self.init(name) }
}

extension RequestHead {
  /// The value of the one cookie called `name`, over all Cookie lines. `bytes` are those that were parsed.
  ///
  /// Several with the same bytes are one: a browser sends a cookie twice that was set for two paths or domains, and no
  /// two readers can disagree on it. The place told is the first one's.
  ///
  /// RFC 6265, section 4.2.1, read loosely: pairs between semicolons, white space around them left out, the name up to the
  /// first `=`. A pair without `=` is no cookie. A quoted value is told with its quotes; an empty one as an empty range.
  public func cookie(_ name: CookieName, in bytes: Span<UInt8>) -> Occurrence {
    guard facts.length <= bytes.count else { return .none }
    var found = Occurrence.none
    for index in 0..<facts.fieldCount {
      let line = fields[index]
      guard line.nameLength == 6, matches(bytes, line.name, anyCase: Words.cookie) else { continue }
      let end = line.value.upperBound
      var i = line.value.lowerBound
      while i < end {
        while i < end, isBlank(bytes[i]) { i += 1 }
        let start = i
        let valueStart = behindName(name.bytes, bytes, start..<end)
        i = indexOfSemicolon(bytes, (valueStart ?? start)..<end)
        if let valueStart {
          var valueEnd = i
          while valueEnd > valueStart, isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
          switch found {
          case .none: found = .one(valueStart..<valueEnd)
          case .one(let first):
            guard areEqual(bytes, first, valueStart..<valueEnd) else { return .several }
          case .several: return .several
          }
        }
        i += 1
      }
    }
    return found
  }

  private func areEqual(_ bytes: Span<UInt8>, _ first: Range<Int>, _ second: Range<Int>) -> Bool {
    guard first.count == second.count else { return false }
    for offset in 0..<first.count where bytes[first.lowerBound &+ offset] != bytes[second.lowerBound &+ offset] {
      return false
    }
    return true
  }

  /// The place behind `name=`, where `range` starts with just that.
  @inline(__always)
  private func behindName(_ name: NameBytes, _ bytes: Span<UInt8>, _ range: Range<Int>) -> Int? {
    guard range.count > name.count, bytes[range.lowerBound + name.count] == 0x3D else { return nil }
    let wanted = name.bytes.span
    for i in 0..<name.count where bytes[range.lowerBound &+ i] != wanted[i] { return nil }
    return range.lowerBound + name.count + 1
  }

  /// The first semicolon of `range`, or its end.
  @inline(__always)
  private func indexOfSemicolon(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Int {
    var i = range.lowerBound
    while range.upperBound - i >= 8 {
      let found = semicolons(in: word(of: bytes, at: i))
      guard found == 0 else { return i + firstFlag(found) }
      i += 8
    }
    while i < range.upperBound, bytes[i] != 0x3B { i += 1 }
    return i
  }
}
