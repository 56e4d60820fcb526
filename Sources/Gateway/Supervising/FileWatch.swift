// Whether a file has changed and stands still: pure, with what stat(2) says and the time as parameters.

import Glibc

/// What tells two states of a file apart, through links, so that an exchanged link is a change (as Kubernetes does it).
struct FileStamp: Equatable, Sendable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  let modified: Int64
  let changed: Int64

  init(device: UInt64, inode: UInt64, size: Int64, modified: Int64, changed: Int64) {
    self.device = device
    self.inode = inode
    self.size = size
    self.modified = modified
    self.changed = changed
  }

  /// Nil where there is no such file now. Blocks on the disk.
  init?(of path: String) {
    var status = stat()
    // Safe: stat(2) reads the bridged string and fills one struct of this frame, during the call.
    guard unsafe stat(path, &status) == 0 else { return nil }
    self.init(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
      modified: Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec),
      changed: Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec))
  }
}

/// Tells when a file that has changed may be read: once it has stood still for a while, because a writer may be half done.
struct FileWatch: Sendable {
  /// Milliseconds.
  static let stillness: Int64 = 200

  /// What was last taken.
  private var taken: FileStamp?
  private var seen: FileStamp?
  private var seenSince: Int64 = 0

  /// - Parameter taken: what the file was before it was read the last time; nil: it was not there.
  init(taken: FileStamp?) {
    self.taken = taken
    seen = taken
  }

  /// Whether the file is to be read now. Each change is told once.
  mutating func observe(_ stamp: FileStamp?, at now: Int64) -> Bool {
    if stamp != seen {
      seen = stamp
      seenSince = now
    }
    guard seen != taken, now - seenSince >= Self.stillness else { return false }
    taken = seen
    return true
  }
}
