// What is wrong with a file that TLS needs, and how the files are read. No certificate is judged here.

import COpenSSL
import Glibc

/// A certificate, key or CA file that can't be used: which one, and why, in words for the log.
public struct TLSFileError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The path as it was set.
  public let path: String
  /// No bytes of the file, no key: a sentence without a full stop.
  public let reason: String

  /// - Parameters: as above.
  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }

  public var description: String { "\(path): \(reason)" }
}

/// When a file was last written, so that a change is seen: also one that a link brings, as in a mounted secret.
public struct FileStamp: Equatable, Sendable {
  private let inode: UInt64
  private let size: Int64
  private let seconds: Int
  private let nanoseconds: Int

  /// Nil where the file can't be seen.
  public init?(_ path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    seconds = status.st_mtim.tv_sec
    nanoseconds = status.st_mtim.tv_nsec
  }
}

enum PEMFile {
  private static let limit = 1 << 20

  /// All bytes of a regular file of at most 1 MiB.
  ///
  /// - Parameter isSecret: refuses a file that others may read or write: who has the key is the gateway.
  static func read(_ path: String, isSecret: Bool) throws(TLSFileError) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure(path, errno) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw failure(path, errno) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw TLSFileError(path: path, reason: "is no regular file") }
    if isSecret, status.st_mode & 0o007 != 0 {
      throw TLSFileError(path: path, reason: "others may read or change it; its mode should be 0600 or 0640")
    }
    guard status.st_size <= limit else { throw TLSFileError(path: path, reason: "is larger than 1 MiB") }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      // The range handed to read() is the unfilled rest of the array's own storage.
      let count = unsafe bytes.withUnsafeMutableBytes { buffer in
        unsafe Glibc.read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path, count < 0 ? errno : EIO) }
      filled += count
    }
    return bytes
  }

  static func failure(_ path: String, _ code: Int32) -> TLSFileError {
    TLSFileError(path: path, reason: unsafe String(cString: strerror(code)))
  }

  /// Why OpenSSL's last call failed; its queue is empty then.
  static func lastReason() -> String {
    let code = ERR_peek_last_error()
    defer { ERR_clear_error() }
    guard code != 0, let words = unsafe ERR_reason_error_string(code) else { return "OpenSSL refuses it" }
    return unsafe String(cString: words)
  }
}
