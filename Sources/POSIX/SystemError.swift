// How a call to the operating system failed.

import Glibc

/// What went wrong when a resource of the operating system could not be had.
public struct SystemError: Error, CustomStringConvertible, Sendable {
  /// The call that failed, as `socket` or `bind 0.0.0.0:8000`.
  public let operation: String
  /// Its `errno`; 0 where there is none.
  public let code: Int32

  public init(_ operation: String, code: Int32 = errno) {
    self.operation = operation
    self.code = code
  }

  public var description: String {
    guard code != 0 else { return operation }
    return "\(operation): \(reason)"
  }

  /// `code` in the system's words.
  package var reason: String { unsafe String(cString: strerror(code)) }
}
