// Whether a file may be believed: who can write it can let anyone in. Rules over what stat(2) says, no call to it.

/// What stat(2) says about a file or folder, as far as it matters.
public struct FileStatus: Sendable, Equatable {
  public var owner: UInt32
  /// The permission bits, the sticky bit (0o1000) among them.
  public var mode: UInt32
  /// Whether it is a regular file.
  public var isRegularFile: Bool
  /// Whether it lies on a mount that is read-only.
  public var isOnReadOnlyMount: Bool

  public init(owner: UInt32, mode: UInt32, isRegularFile: Bool = true, isOnReadOnlyMount: Bool = false) {
    self.owner = owner
    self.mode = mode
    self.isRegularFile = isRegularFile
    self.isOnReadOnlyMount = isOnReadOnlyMount
  }
}

/// The rules.
public enum FileSafety {
  private static let writableByOthers: UInt32 = 0o022
  private static let sticky: UInt32 = 0o1000

  /// What is wrong with a file, nil where nothing is.
  ///
  /// - Parameters:
  ///   - folders: the folder that the file really lies in, and that of a link that led there: who can write a folder can
  ///     put another file in a file's place. In one with the sticky bit only a file's owner can.
  ///   - user: the effective user of this process.
  public static func complaint(file: FileStatus, folders: [FileStatus], user: UInt32) -> FileMistake? {
    func refused(_ value: String, _ allowed: String) -> FileMistake {
      FileMistake(at: .start, key: nil, value: value, allowed: allowed)
    }
    guard file.isRegularFile else { return refused("no regular file", "a regular file, or a link to one") }
    if !file.isOnReadOnlyMount {
      guard file.owner == 0 || file.owner == user else {
        return refused("owner \(file.owner)", "a file of root or of user \(user)")
      }
      guard file.mode & writableByOthers == 0 else {
        return refused("mode \(octal(file.mode))", "a file that only its owner can write")
      }
    }
    for folder in folders where !folder.isOnReadOnlyMount && folder.mode & sticky == 0 {
      guard folder.owner == 0 || folder.owner == user else {
        return refused("a folder of owner \(folder.owner)", "a folder of root or of user \(user)")
      }
      guard folder.mode & writableByOthers == 0 else {
        return refused(
          "a folder of mode \(octal(folder.mode))",
          "a folder that only its owner can write, one with the sticky bit, or one on a read-only mount")
      }
    }
    return nil
  }

  private static func octal(_ mode: UInt32) -> String {
    let digits = String(mode & 0o7777, radix: 8)
    return String(repeating: "0", count: max(4 - digits.utf8.count, 0)) + digits
  }
}
