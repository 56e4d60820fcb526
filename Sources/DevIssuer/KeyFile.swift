// The private keys of the stand-in on disk, so that separate commands share them. PEM, mode 0600, the current key
// first. The only file of this target that calls the operating system.

import Glibc

/// Reads and writes the file that holds the stand-in's private keys.
public enum KeyFile {
  /// The keys in `path`, the current one first. Refuses a link, and a file that others may read or write: who
  /// knows the key mints tokens. `.file("open", ENOENT)` where there is none yet.
  public static func read(_ path: String) throws(IssuerError) -> [SigningKey] {
    let descriptor = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file("open", errno) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .file("fstat", errno) }
    guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(), status.st_mode & 0o077 == 0 else {
      throw .file("mode", EPERM)
    }
    guard status.st_size <= 1 << 18 else { throw .file("size", EFBIG) }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      // The range handed to read() is the unfilled rest of the array's own storage.
      let count = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw .file("read", count < 0 ? errno : EIO) }
      filled += count
    }
    return try SigningKey.read(pem: bytes)
  }

  /// Replaces `path` whole: a temporary file of mode 0600 beside it, fsync, rename.
  public static func write(_ keys: [SigningKey], to path: String) throws(IssuerError) {
    var bytes: [UInt8] = []
    for key in keys { bytes += try key.pem() }
    let temporary = "\(path).\(getpid()).new"
    let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file("open", errno) }
    var failure = writeAll(bytes, to: descriptor)
    if failure == nil && fsync(descriptor) != 0 { failure = .file("fsync", errno) }
    if close(descriptor) != 0 && failure == nil { failure = .file("close", errno) }
    if failure == nil {
      let renamed = unsafe rename(temporary, path)
      if renamed != 0 { failure = .file("rename", errno) }
    }
    if let failure {
      _ = unsafe unlink(temporary)
      throw failure
    }
  }

  private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> IssuerError? {
    var written = 0
    while written < bytes.count {
      // The range handed to write() is the unwritten rest of the array's own storage.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(descriptor, buffer.baseAddress! + written, buffer.count - written)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return .file("write", errno) }
      written += count
    }
    return nil
  }
}
