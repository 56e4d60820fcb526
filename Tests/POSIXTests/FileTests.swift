// Files, folders and times: what the rooms above rest on. On the file system of this machine.

import Glibc
import Testing

@testable import POSIX

@Suite("Files")
struct FileTests {
  /// Calls `body` with a folder that goes at its end.
  private func inFolder(_ body: (String) throws -> Void) throws {
    let path = "/tmp/posix-tests-\(getpid())-\(UInt64.random(in: 0...UInt64.max))"
    try Folder.make(path)
    defer {
      for name in Folder.names(in: path) ?? [] { _ = unsafe unlink("\(path)/\(name)") }
      _ = unsafe rmdir(path)
    }
    try body(path)
  }

  private func make(_ path: String, _ bytes: [UInt8]) throws {
    try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600).writeAll(bytes)
  }

  private func failure(_ body: () throws(SystemError) -> Void) -> SystemError? {
    do throws(SystemError) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 200_000])
  func `a file is read whole up to the limit, and not at all beyond it`(_ count: Int) throws {
    try inFolder { folder in
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
      try make("\(folder)/a", bytes)
      let whole = try FileDescriptor.open("\(folder)/a", O_RDONLY).readAll(atMost: count)
      let isWhole = whole == bytes
      #expect(isWhole)
      guard count > 0 else { return }
      let beyond = try FileDescriptor.open("\(folder)/a", O_RDONLY).readAll(atMost: count - 1)
      #expect(beyond == nil)
    }
  }

  @Test func `a failure names the call and the path`() throws {
    try inFolder { folder in
      let missing = failure { () throws(SystemError) in _ = try FileDescriptor.open("\(folder)/a", O_RDONLY) }
      #expect(missing?.code == ENOENT && missing?.operation == "open \(folder)/a")
      let read = failure { () throws(SystemError) in
        _ = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY).readAll(atMost: 1)
      }
      #expect(read?.code == EISDIR && read?.operation == "read \(folder)")
    }
  }

  @Test func `a descriptor is closed when its owner goes, and its lock with it`() throws {
    try inFolder { folder in
      let path = "\(folder)/a"
      try make(path, [])
      let number = try {
        let first = try FileDescriptor.open(path, O_RDONLY)
        let second = try FileDescriptor.open(path, O_RDONLY)
        let (isLocked, isLockedTwice) = (first.tryLock(), second.tryLock())
        #expect(isLocked && !isLockedTwice, "the first one has it until it goes")
        withExtendedLifetime(first) {}
        return first.number
      }()
      #expect(number > 2)
      let isFree = try FileDescriptor.open(path, O_RDONLY).tryLock()
      #expect(isFree)
    }
  }

  @Test func `an entry takes the place of another in one step, and is marked as another`() throws {
    try inFolder { folder in
      try make("\(folder)/a", [1])
      try make("\(folder)/b", [2])
      let before = FileMark("\(folder)/a")
      #expect(before == FileMark("\(folder)/a"))
      let directory = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
      try directory.rename("b", to: "a")
      #expect(Folder.names(in: folder) == ["a"] && Folder.count(in: folder) == 1)
      #expect(FileMark("\(folder)/a") != before)
      let bytes = try directory.open("a", O_RDONLY).readAll(atMost: 9)
      #expect(bytes == [2])
      directory.remove("a")
      #expect(FileMark("\(folder)/a") == nil && Folder.count(in: folder) == 0)
    }
  }

  @Test func `what a file is, is seen through a link or of the link itself`() throws {
    try inFolder { folder in
      try make("\(folder)/a", [1, 2, 3])
      #expect(unsafe symlink("a", "\(folder)/link") == 0)
      let through = try #require(FileStatus("\(folder)/link"))
      #expect(through.isRegular && through.size == 3 && through.mode == 0o600 && through.owner == geteuid())
      let link = try #require(FileStatus("\(folder)/link", followingLinks: false))
      #expect(!link.isRegular && !link.isSocket && !link.isSameFile(as: through))
      #expect(FileStatus("\(folder)/none") == nil && Folder.names(in: "\(folder)/none") == nil)
    }
  }

  @Test(
    arguments: [
      (0, 0, "1970-01-01T00:00:00.000Z"), (951_782_399, 9, "2000-02-28T23:59:59.009Z"),
      (951_782_400, 10, "2000-02-29T00:00:00.010Z"), (4_107_542_400, 999, "2100-03-01T00:00:00.999Z"),
      (253_402_300_799, 100, "9999-12-31T23:59:59.100Z"),
    ])
  func `a moment is written as RFC 3339 writes it`(_ seconds: Int, _ milliseconds: Int, _ text: String) {
    let time = Timestamp(seconds: seconds, milliseconds: milliseconds)
    #expect(time.text == text)
    #expect(time.textInSeconds == text.dropLast(5) + "Z")
  }
}
