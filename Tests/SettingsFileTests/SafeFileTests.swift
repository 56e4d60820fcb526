// Files on a disk: links, modes, sizes.

import Glibc
import Testing

@testable import SettingsFile

/// A folder of its own, gone at the end.
private func withFolder(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/safe-file-XXXXXX".utf8CString)
  let made = unsafe template.withUnsafeMutableBufferPointer { buffer -> String? in
    guard let path = unsafe mkdtemp(buffer.baseAddress!) else { return nil }
    return unsafe String(cString: path)
  }
  let folder = try #require(made)
  defer {
    for name in ["file", "link", "fifo"] { unsafe unlink(folder + "/" + name) }
    unsafe rmdir(folder)
  }
  try body(folder)
}

private func write(_ path: String, _ text: String, mode: mode_t) {
  let descriptor = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
  _ = unsafe Glibc.write(descriptor, text, text.utf8.count)
  close(descriptor)
  _ = unsafe chmod(path, mode)
}

private func words(_ path: String, limit: Int = 100) -> String {
  switch SafeFile.read(path, limit: limit) {
  case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
  case .missing: "missing"
  case .refused(let mistake): mistake.line(file: "f")
  }
}

@Test func `a file is read through a link, and not when others can write it`() throws {
  try withFolder { folder in
    let file = folder + "/file"
    write(file, "a: 1", mode: 0o600)
    _ = unsafe symlink(file, folder + "/link")
    #expect(words(file) == "a: 1" && words(folder + "/link") == "a: 1")
    #expect(words(folder + "/none") == "missing")
    #expect(words(file, limit: 3).contains("at most 3 bytes"))
    _ = unsafe chmod(file, 0o666)
    #expect(words(folder + "/link").hasPrefix("f:1:1: 'mode 0666' is refused; allowed: "))
    _ = unsafe chmod(file, 0o600)
    _ = unsafe chmod(folder, 0o777)
    #expect(words(file).hasPrefix("f:1:1: 'a folder of mode 0777' is refused; allowed: "))
    _ = unsafe chmod(folder, 0o1777)
    #expect(words(file) == "a: 1")
    _ = unsafe mkfifo(folder + "/fifo", 0o600)
    #expect(words(folder + "/fifo").hasPrefix("f:1:1: 'no regular file' is refused"))
    #expect(words(folder).hasPrefix("f:1:1: 'no regular file' is refused"))
  }
}
