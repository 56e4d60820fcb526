// Reads a file that must be believed: the bytes are those of the file whose owner, mode and folders were looked at.
// `unsafe` is here because files are C calls; each reads or fills memory of its own frame, during the call.

import Glibc

/// A file that was read.
public enum SafeFileReading: Sendable {
  case bytes([UInt8])
  /// There is none.
  case missing
  case refused(FileMistake)
}

/// Reading with distrust. Blocks on the disk.
public enum SafeFile {
  /// Reads a file, through links, of at most `limit` bytes.
  ///
  /// - Parameter isTrusted: whether what it says is believed; where it is not, anybody may own and write it.
  public static func read(_ path: String, limit: Int, isTrusted: Bool = true) -> SafeFileReading {
    // A FIFO would block the start for ever.
    let descriptor = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return errno == ENOENT ? .missing : .refused(failure("cannot be opened")) }
    defer { close(descriptor) }
    guard let file = status(of: descriptor) else { return .refused(failure("cannot be looked at")) }
    guard let folders = folders(of: descriptor, path) else {
      return .refused(failure("has a folder that cannot be looked at"))
    }
    // Of a file that is not believed only its kind matters.
    let judged = isTrusted ? file : FileStatus(owner: geteuid(), mode: 0, isRegularFile: file.isRegularFile)
    if let complaint = FileSafety.complaint(file: judged, folders: isTrusted ? folders : [], user: geteuid()) {
      return .refused(complaint)
    }
    guard let bytes = contents(of: descriptor, limit: limit) else { return .refused(failure("cannot be read")) }
    guard bytes.count <= limit else {
      return .refused(
        FileMistake(
          at: .start, key: nil, value: "more than \(limit) bytes", allowed: "a file of at most \(limit) bytes"))
    }
    return .bytes(bytes)
  }

  private static func failure(_ what: String) -> FileMistake {
    let reason = unsafe String(cString: strerror(errno))
    return FileMistake(at: .start, key: nil, value: "\(what): \(reason)", allowed: "a file that can be read")
  }

  private static func status(of descriptor: Int32) -> FileStatus? {
    var status = stat()
    var mount = statvfs()
    guard unsafe fstat(descriptor, &status) == 0, unsafe fstatvfs(descriptor, &mount) == 0 else { return nil }
    return FileStatus(
      owner: status.st_uid, mode: status.st_mode & 0o7777, isRegularFile: status.st_mode & S_IFMT == S_IFREG,
      isOnReadOnlyMount: mount.f_flag & UInt(ST_RDONLY) != 0)
  }

  /// The folder that the open file really lies in, and the one that the path names.
  private static func folders(of descriptor: Int32, _ path: String) -> [FileStatus]? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = unsafe readlink("/proc/self/fd/\(descriptor)", &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    let real = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var folders: [FileStatus] = []
    for folder in [parent(of: real), parent(of: path)] {
      let opened = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard opened >= 0 else { return nil }
      defer { close(opened) }
      guard let status = status(of: opened) else { return nil }
      folders.append(status)
    }
    return folders
  }

  private static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// At most one byte more than `limit`; nil where reading fails.
  private static func contents(of descriptor: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count <= limit {
      let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return bytes }
      bytes += part[..<count]
    }
    return bytes
  }
}
