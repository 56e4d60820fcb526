// What is wrong with a file that TLS needs, and how the files are read. No certificate is judged here.

import COpenSSL
import Glibc
import POSIX

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

enum PEMFile {
  private static let limit = 1 << 20

  /// All bytes of a regular file of at most 1 MiB.
  ///
  /// - Parameter isSecret: refuses a file that others may read or write: who has the key is the gateway.
  static func read(_ path: String, isSecret: Bool) throws(TLSFileError) -> [UInt8] {
    try reading(path, isSecret: isSecret).get()
  }

  private static func reading(_ path: String, isSecret: Bool) -> Result<[UInt8], TLSFileError> {
    do throws(SystemError) {
      let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
      if let complaint = complaint(try file.status(), isSecret: isSecret) {
        return .failure(TLSFileError(path: path, reason: complaint))
      }
      let bytes = try file.readAll(atMost: limit)
      return bytes.map { .success($0) } ?? .failure(TLSFileError(path: path, reason: tooLarge))
    } catch {
      return .failure(failure(path, error))
    }
  }

  private static let tooLarge = "is larger than 1 MiB"

  private static func complaint(_ status: FileStatus, isSecret: Bool) -> String? {
    if !status.isRegular { return "is no regular file" }
    if isSecret, status.mode & 0o007 != 0 {
      return "others may read or change it; its mode should be 0600 or 0640"
    }
    return status.size > limit ? tooLarge : nil
  }

  static func failure(_ path: String, _ error: SystemError) -> TLSFileError {
    TLSFileError(path: path, reason: error.reason)
  }

  /// Why OpenSSL's last call failed; its queue is empty then.
  static func lastReason() -> String {
    let code = ERR_peek_last_error()
    defer { ERR_clear_error() }
    guard code != 0, let words = unsafe ERR_reason_error_string(code) else { return "OpenSSL refuses it" }
    return unsafe String(cString: words)
  }
}
