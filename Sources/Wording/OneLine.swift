// A user's text within one line of ours. Nothing is read or printed here.

/// `text` as printable ASCII, cut at `limit` characters (marked with `...`).
///
/// A text may come from anywhere (a file, a template, an environment that others fill): it must not be able to start a second line or to drive a terminal.
package func escapedForOneLine(_ text: String, limit: Int = 80, escapingQuotes: Bool = true) -> String {
  var escaped = ""
  var count = 0
  for scalar in text.unicodeScalars {
    if count == limit { return escaped + "..." }
    count += 1
    switch scalar {
    case "\n": escaped += "\\n"
    case "\r": escaped += "\\r"
    case "\t": escaped += "\\t"
    case "'", "\\":
      if escapingQuotes { escaped += "\\" }
      escaped.unicodeScalars.append(scalar)
    case " "..."~": escaped.unicodeScalars.append(scalar)
    default: escaped += "\\u{" + String(scalar.value, radix: 16) + "}"
    }
  }
  return escaped
}

/// `text` in single quotes, as ``escapedForOneLine(_:limit:escapingQuotes:)`` writes it.
package func quotedForOneLine(_ text: String) -> String { "'\(escapedForOneLine(text))'" }
