// The host that a request asked for, and whether it is one of those that a file names. Pure.

/// Host values of requests and patterns of files.
public enum HostName {
  /// The host's bytes without port and trailing dot; nil for what is no host (a list, a user, a path, an empty value):
  /// that counts as missing, for whoever reads it differently from us would let in somebody else's request.
  ///
  /// The bytes are compared without ASCII case. An IPv6 address keeps its brackets.
  public static func normalized(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Range<Int>? {
    var at = range.lowerBound
    guard at < range.upperBound, range.count <= 300 else { return nil }
    if bytes[at] == UInt8(ascii: "[") {
      let start = at
      at += 1
      while at < range.upperBound, bytes[at] != UInt8(ascii: "]") { at += 1 }
      guard at < range.upperBound, IPAddress(bytes, (start + 1)..<at) != nil else { return nil }
      at += 1
      return isPort(bytes, at..<range.upperBound) ? start..<at : nil
    }
    while at < range.upperBound, isHostByte(bytes[at]) { at += 1 }
    guard isPort(bytes, at..<range.upperBound) else { return nil }
    var host = range.lowerBound..<at
    if let last = host.last, bytes[last] == UInt8(ascii: ".") { host = host.lowerBound..<last }
    guard let first = host.first, bytes[first] != UInt8(ascii: ".") else { return nil }
    // `a..b` names no host.
    for index in host.dropFirst() where bytes[index] == UInt8(ascii: ".") && bytes[index - 1] == UInt8(ascii: ".") {
      return nil
    }
    return bytes[host.upperBound - 1] == UInt8(ascii: ".") ? nil : host
  }

  /// What stands behind the first label and its dot, for `*.`; nil for a host of one label and for an address.
  static func behindFirstLabel(_ bytes: Span<UInt8>, _ host: Range<Int>) -> Range<Int>? {
    for index in host where bytes[index] == UInt8(ascii: ".") {
      return index > host.lowerBound && index + 1 < host.upperBound ? (index + 1)..<host.upperBound : nil
    }
    return nil
  }

  /// Reads a pattern of a file: a host name or address in any case, or `*.` and a host name. Nil for anything else: a
  /// port, a trailing dot, a star elsewhere.
  public static func pattern(_ text: String) -> (isWildcard: Bool, host: [UInt8])? {
    var bytes = text.utf8.map(lowercased)
    let isWildcard = bytes.starts(with: [UInt8(ascii: "*"), UInt8(ascii: ".")])
    if isWildcard { bytes.removeFirst(2) }
    guard let range = normalized(bytes.span, 0..<bytes.count), range == 0..<bytes.count,
      !isWildcard || bytes[0] != UInt8(ascii: "["), bytes.count <= 253
    else { return nil }
    return (isWildcard, bytes)
  }

  private static func isPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard let first = range.first else { return true }
    guard bytes[first] == UInt8(ascii: ":"), range.count <= 6 else { return false }
    for index in range.dropFirst() where !isDigit(bytes[index]) { return false }
    return true
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    isLetter(byte) || isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
      || byte == UInt8(ascii: "_")
  }
}
