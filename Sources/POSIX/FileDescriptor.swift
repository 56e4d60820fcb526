// Files: every open(2), read(2), write(2), fstat(2), flock(2) and fsync(2) of a file that the program owns stands here.
// `unsafe` is here because these are C calls; each reads or fills memory of its own frame, during the call.

import Glibc

/// An open file or folder, closed when its owner lets go. Calls block on the disk. From any thread.
package struct FileDescriptor: ~Copyable, Sendable {
  /// Valid while this value lives.
  package let number: Int32
  /// What errors call it: the path that it was opened by.
  package let name: String

  private init(_ number: Int32, _ name: String) {
    self.number = number
    self.name = name
  }

  deinit { _ = Glibc.close(number) }

  /// Opens a path, close-on-exec.
  ///
  /// - Parameters:
  ///   - flags: those of open(2).
  ///   - mode: permissions of a file that is made; less the process's umask.
  package static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0) throws(SystemError) -> FileDescriptor {
    let number = unsafe Glibc.open(path, flags | O_CLOEXEC, mode)
    guard number >= 0 else { throw SystemError("open \(path)") }
    return FileDescriptor(number, path)
  }

  /// Opens a name in this folder, close-on-exec; otherwise as the other one.
  package borrowing func open(_ entry: String, _ flags: Int32, mode: UInt32 = 0) throws(SystemError) -> FileDescriptor {
    let opened = unsafe openat(number, entry, flags | O_CLOEXEC, mode)
    guard opened >= 0 else { throw SystemError("open \(name)/\(entry)") }
    return FileDescriptor(opened, "\(name)/\(entry)")
  }

  package borrowing func status() throws(SystemError) -> FileStatus {
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw SystemError("fstat \(name)") }
    return FileStatus(status)
  }

  /// All bytes from here to the end; nil where they are more than `limit`.
  package borrowing func readAll(atMost limit: Int) throws(SystemError) -> [UInt8]? {
    let bytes = try readPrefix(upTo: limit + 1)
    return bytes.count <= limit ? bytes : nil
  }

  /// The bytes from here to the end, but not more than `limit`.
  package borrowing func readPrefix(upTo limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: min(limit, 64 * 1024))
    while bytes.count < limit {
      // Safe: read(2) writes at most the count that it is told, which is within the array.
      let count = unsafe part.withUnsafeMutableBytes {
        unsafe Glibc.read(number, $0.baseAddress, min($0.count, limit - bytes.count))
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw SystemError("read \(name)") }
      if count == 0 { break }
      bytes += part[..<count]
    }
    return bytes
  }

  package borrowing func writeAll(_ bytes: [UInt8]) throws(SystemError) {
    guard POSIX.writeAll(bytes, to: number) else { throw SystemError("write \(name)") }
  }

  /// Sets the permissions, whatever the umask.
  package borrowing func setMode(_ mode: UInt32) throws(SystemError) {
    guard fchmod(number, mode) == 0 else { throw SystemError("chmod \(name)") }
  }

  /// Returns when the disk has it (fsync(2)).
  package borrowing func sync() throws(SystemError) {
    guard fsync(number) == 0 else { throw SystemError("fsync \(name)") }
  }

  /// Locks the file against others that lock it (flock(2)); until it is closed. False where another has it.
  package borrowing func tryLock() -> Bool { flock(number, LOCK_EX | LOCK_NB) == 0 }

  /// Renames an entry of this folder, in the place of another in one step.
  package borrowing func rename(_ entry: String, to new: String) throws(SystemError) {
    guard unsafe renameat(number, entry, number, new) == 0 else { throw SystemError("rename to \(name)/\(new)") }
  }

  /// Removes an entry of this folder, if it is there.
  package borrowing func remove(_ entry: String) { _ = unsafe unlinkat(number, entry, 0) }
}

/// What stat(2) says of a file.
package struct FileStatus: Sendable {
  package let isRegular: Bool
  package let isSocket: Bool
  /// User and group.
  package let owner: UInt32
  /// Permissions, 0...0o7777.
  package let mode: UInt32
  /// Bytes.
  package let size: Int
  package let device: UInt
  package let inode: UInt
  /// Nanoseconds since 1970 of the last change of its bytes, and of its owner, mode or name.
  package let modified: Int
  package let changed: Int

  init(_ status: stat) {
    isRegular = status.st_mode & S_IFMT == S_IFREG
    isSocket = status.st_mode & S_IFMT == S_IFSOCK
    owner = status.st_uid
    mode = status.st_mode & 0o7777
    size = Int(status.st_size)
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
    modified = status.st_mtim.tv_sec &* 1_000_000_000 &+ status.st_mtim.tv_nsec
    changed = status.st_ctim.tv_sec &* 1_000_000_000 &+ status.st_ctim.tv_nsec
  }

  /// Of what a path leads to, or of the link itself; nil where it can't be seen.
  package init?(_ path: String, followingLinks: Bool = true) {
    var status = stat()
    guard unsafe followingLinks ? stat(path, &status) == 0 : lstat(path, &status) == 0 else { return nil }
    self.init(status)
  }

  /// Whether both are of one file, whatever happened to it meanwhile.
  package func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

/// What tells one content of a file from the next, without reading it.
package struct FileMark: Equatable, Sendable {
  private let device: UInt
  private let inode: UInt
  private let size: Int
  private let modified: Int
  private let changed: Int

  /// Of what a path leads to; nil where it can't be seen. Links are followed: Kubernetes changes a mounted file by moving
  /// a link.
  package init?(_ path: String) {
    guard let status = FileStatus(path) else { return nil }
    (device, inode, size, modified, changed) = (
      status.device, status.inode, status.size, status.modified, status.changed
    )
  }
}

/// Writes all of `bytes` to a descriptor, waiting as long as that takes; a non-blocking one is polled.
///
/// - Returns: false if the descriptor refuses (closed, full disk, reader gone), perhaps after a part was written; `errno`
///   says why.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  var written = 0
  while written < bytes.count {
    // Safe: the pointer and count are those of the rest of `bytes`, which is not changed meanwhile, and write(2) only
    // reads from it.
    let result = unsafe bytes.withUnsafeBytes {
      unsafe write(descriptor, $0.baseAddress! + written, $0.count - written)
    }
    if result > 0 {
      written += result
    } else if result < 0, errno == EAGAIN {
      var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      // Safe: one pollfd of this frame's own, alive for the call.
      if unsafe poll(&wait, 1, -1) < 0, errno != EINTR { return false }
    } else if !(result < 0 && errno == EINTR) {
      return false
    }
  }
  return true
}
