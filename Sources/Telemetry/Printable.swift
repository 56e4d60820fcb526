// Bytes of others as text that is safe to show.

/// Bytes of others on a terminal: printable ASCII as it is, the rest as `\xXX`, so that no token or key set can send
/// escape sequences.
package enum Printable {
  package static func text(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes {
      if (0x20..<0x7F).contains(byte) {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16)
        text += "\\x" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return text
  }
}
