// What lies in a folder: the one place that reads folders.

import Glibc

package enum Folder {
  /// The names in a folder, without `.` and `..`, in no order; nil when it can't be read.
  package static func names(in path: String) -> [String]? {
    var names: [String] = []
    let isRead = each(in: path) { name in names.append(String(decoding: name, as: UTF8.self)) }
    return isRead ? names : nil
  }

  /// How many there are, likewise.
  package static func count(in path: String) -> Int? {
    var count = 0
    let isRead = each(in: path) { _ in count += 1 }
    return isRead ? count : nil
  }

  /// Makes a folder if there is none, by default one that its owner alone may enter.
  package static func make(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
    if unsafe mkdir(path, mode) != 0, errno != EEXIST { throw SystemError("mkdir \(path)") }
  }

  private static func each(in path: String, _ body: ([UInt8]) -> Void) -> Bool {
    // Safe: the stream is this function's own and closed at its end; an entry is read before the next takes its place.
    guard let stream = unsafe opendir(path) else { return false }
    defer { unsafe closedir(stream) }
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in unsafe Array(bytes.prefix { $0 != 0 }) }
      if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] { body(name) }
    }
    return true
  }
}
