// Whether a file has changed and stands still: pure, with what stat(2) says and the time as parameters.

import POSIX

/// Tells when a file that has changed may be read: once it has stood still for a while, because a writer may be half done.
struct FileWatch: Sendable {
  /// Milliseconds.
  static let stillness: Int64 = 200

  /// What was last taken.
  private var taken: FileMark?
  private var seen: FileMark?
  private var seenSince: Int64 = 0

  /// - Parameter taken: what the file was before it was read the last time; nil: it was not there.
  init(taken: FileMark?) {
    self.taken = taken
    seen = taken
  }

  /// Whether the file is to be read now. Each change is told once.
  mutating func observe(_ mark: FileMark?, at now: Int64) -> Bool {
    if mark != seen {
      seen = mark
      seenSince = now
    }
    guard seen != taken, now - seenSince >= Self.stillness else { return false }
    taken = seen
    return true
  }
}
