// The grammar of a Host value, uri-host [":" port]. It judges form alone: which host it is has no meaning here.

/// Whether `range` of `bytes` is a Host value that names a host: RFC 9110, section 7.2, with RFC 3986, section 3.2.2.
/// An empty host, userinfo, a path, a zone identifier and a port over 65535 are refused.
func isHostAndPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
  var i = range.lowerBound
  let end = range.upperBound
  guard i < end else { return false }
  if bytes[i] == 0x5B {  // [
    i += 1
    let start = i
    while i < end, bytes[i] != 0x5D { i += 1 }
    guard i < end, isIPv6Address(bytes, start..<i) else { return false }
    i += 1
  } else {
    while i < end, bytes[i] != 0x3A {
      if bytes[i] == 0x25 {  // A percent sign and two hexadecimal digits.
        guard end - i > 2, isHexDigit(bytes[i + 1]), isHexDigit(bytes[i + 2]) else { return false }
        i += 3
      } else {
        guard isRegisteredNameByte(bytes[i]) else { return false }
        i += 1
      }
    }
    guard i > range.lowerBound else { return false }
  }
  return i == end || bytes[i] == 0x3A && isPort(bytes, i + 1..<end)
}

/// RFC 3986: port = *DIGIT, so an empty one is well formed.
private func isPort(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
  var port = 0
  for i in range {
    guard isDigit(bytes[i]) else { return false }
    port = port * 10 + Int(bytes[i] - 0x30)
    guard port <= 65535 else { return false }
  }
  return true
}

/// RFC 3986: unreserved and sub-delims. `@`, `/`, `?` and `#` are not among them.
private func isRegisteredNameByte(_ byte: UInt8) -> Bool {
  switch byte {
  case 0x2D, 0x2E, 0x5F, 0x7E: true  // - . _ ~
  case 0x21, 0x24, 0x26, 0x27, 0x28, 0x29, 0x2A, 0x2B, 0x2C, 0x3B, 0x3D: true  // ! $ & ' ( ) * + , ; =
  default: isAlphanumeric(byte)
  }
}

/// RFC 3986's IPv6address: eight groups of 1 to 4 hexadecimal digits, one run of them shortened to `::`, the last two
/// perhaps written as an IPv4 address.
private func isIPv6Address(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
  var i = range.lowerBound
  let end = range.upperBound
  var groups = 0
  var shortened = false
  if end - i >= 2, bytes[i] == 0x3A, bytes[i + 1] == 0x3A {
    shortened = true
    i += 2
    if i == end { return true }
  }
  while true {
    let start = i
    while i < end, isHexDigit(bytes[i]) { i += 1 }
    if i < end, bytes[i] == 0x2E {
      guard isIPv4Address(bytes, start..<end) else { return false }
      groups += 2
      break
    }
    guard 1...4 ~= i - start else { return false }
    groups += 1
    if i == end { break }
    guard bytes[i] == 0x3A else { return false }
    i += 1
    if i < end, bytes[i] == 0x3A {
      guard !shortened else { return false }
      shortened = true
      i += 1
      if i == end { break }
    }
  }
  return shortened ? groups < 8 : groups == 8
}

/// Four decimal numbers of at most 255 without leading zeros, with dots between.
private func isIPv4Address(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
  var i = range.lowerBound
  let end = range.upperBound
  for number in 0..<4 {
    let start = i
    var value = 0
    while i < end, i - start < 3, isDigit(bytes[i]) {
      value = value * 10 + Int(bytes[i] - 0x30)
      i += 1
    }
    guard i > start, value <= 255, i - start == 1 || bytes[start] != 0x30 else { return false }
    if number < 3 {
      guard i < end, bytes[i] == 0x2E else { return false }
      i += 1
    }
  }
  return i == end
}
