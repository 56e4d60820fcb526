// The process's environment variables.

// `environ` is a C global: it is read before the program starts any thread, and nothing in it ever calls setenv.
@unsafe @preconcurrency import Glibc

/// The environment, as it was when the program started. A variable that is no UTF-8 is repaired, and then refused by
/// whoever reads it.
package func processEnvironment() -> [String: String] {
  var variables: [String: String] = [:]
  // Safe: environ is a list of NUL-terminated strings that ends with nil, and nobody changes it (above).
  var entry = unsafe environ
  while let text = unsafe entry.pointee {
    let pair = unsafe String(cString: text)
    // By bytes: as characters, a `=` and a combining mark behind it are one.
    if let equals = pair.utf8.firstIndex(of: UInt8(ascii: "=")) {
      variables[String(pair[..<equals])] = String(pair[pair.utf8.index(after: equals)...])
    }
    unsafe entry += 1
  }
  return variables
}
