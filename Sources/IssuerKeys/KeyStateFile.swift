// The state file of one issuer on disk: read with distrust, replaced in one step. It is trust material: who can write it
// can mint tokens. What is inside is KeyState's.

import Dispatch
import Glibc
import POSIX
import Verification

/// Where an issuer's last good set is kept. Any thread; calls block on the disk.
package struct KeyStateFile: Sendable {
  let folder: String
  /// `keys-<32 hex digits of the issuer's SHA-256>`
  let name: String

  /// The beginning of every state file's name.
  package static let prefix = "keys-"

  init(folder: String, issuer: String) {
    self.folder = folder
    name = Self.prefix + SHA256Digest(of: Array(issuer.utf8).span).hex.prefix(32)
  }

  package init(folder: String, name: String) {
    self.folder = folder
    self.name = name
  }

  package var path: String { "\(folder)/\(name)" }

  // MARK: - Reading

  /// The file's bytes; nil when there is none.
  package func read() throws(KeyStateFault) -> [UInt8]? {
    let complaint: String?
    do throws(SystemError) {
      // A link could lead to a file that somebody else fills; a FIFO would block the start.
      let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      complaint = Self.complaint(try file.status())
      if complaint == nil, let bytes = try file.readAll(atMost: KeyState.maximumBytes) { return bytes }
    } catch {
      if error.code == ENOENT { return nil }
      throw .file(error.code == ELOOP ? "\(path) is a link" : error.description)
    }
    throw .file("\(path) \(complaint ?? "is too large")")
  }

  /// What makes a file unfit to be believed: whoever can write it can mint tokens.
  private static func complaint(_ status: FileStatus) -> String? {
    if !status.isRegular { return "is no regular file" }
    if status.owner != geteuid(), status.owner != 0 { return "belongs to another user" }
    if status.mode & 0o022 != 0 { return "can be written by others" }
    return status.size > KeyState.maximumBytes ? "is too large" : nil
  }

  // MARK: - Writing

  /// Replaces the file: whoever reads it, whenever the power fails, finds the old bytes or the new ones.
  package func write(_ bytes: [UInt8]) throws(KeyStateFault) {
    do throws(SystemError) {
      try Folder.make(folder)
      let directory = try FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY)
      removeLeftovers(in: directory)
      // A second time where another process took a file that had no lock yet for a leftover.
      for isLast in [false, true] {
        if try replace(with: bytes, in: directory, isLast: isLast) { break }
      }
      // The name is on disk only when the folder is.
      try directory.sync()
    } catch {
      throw .file(error.description)
    }
  }

  /// Writes a temporary file and puts it in the file's place. Its name is nobody else's, so that gateways with one folder
  /// need not wait for each other: a lock that they wait for could be held for ever by whoever may open it. A lock on the
  /// temporary file, which its owner alone may open, says that somebody is still writing.
  ///
  /// False where the temporary file was gone, unless this is the last attempt.
  private func replace(
    with bytes: [UInt8], in directory: borrowing FileDescriptor, isLast: Bool
  ) throws(SystemError) -> Bool {
    let temporary = ".\(name).\(String(UInt64.random(in: 0...UInt64.max), radix: 16)).new"
    let file = try directory.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    // It is locked until it has its name.
    defer { withExtendedLifetime(file) {} }
    _ = file.tryLock()
    do throws(SystemError) {
      try file.writeAll(bytes)
      try file.sync()
    } catch {
      directory.remove(temporary)
      throw error
    }
    do throws(SystemError) {
      try directory.rename(temporary, to: name)
    } catch {
      if error.code == ENOENT, !isLast { return false }
      directory.remove(temporary)
      throw error
    }
    return true
  }

  /// Removes temporary files whose processes were killed: nobody holds their locks. Never waits.
  private func removeLeftovers(in directory: borrowing FileDescriptor) {
    for leftover in Folder.names(in: folder) ?? [] where leftover.hasPrefix(".\(name).") && leftover.hasSuffix("new") {
      do throws(SystemError) {
        let file = try directory.open(leftover, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        if file.tryLock() { directory.remove(leftover) }
      } catch {
        // A link is none of ours.
        if error.code == ELOOP { directory.remove(leftover) }
      }
    }
  }

  /// The names in a folder; nil when it can't be read.
  package static func names(in folder: String) -> [String]? { Folder.names(in: folder) }
}

/// Writes states off the loops, one at a time; of those that wait, the newest.
final class KeyStateWriter: Sendable {
  private let file: KeyStateFile
  private let queue = DispatchQueue(label: "key-state")
  private let waiting = Locked<[UInt8]?>(nil)
  private let done: @Sendable (KeyStateFault?) -> Void

  /// - Parameter done: how each write ended; called on the writer's thread.
  init(_ file: KeyStateFile, done: @escaping @Sendable (KeyStateFault?) -> Void) {
    self.file = file
    self.done = done
  }

  /// Returns at once.
  package func write(_ bytes: [UInt8]) {
    let isUnderWay = waiting.withLock { waiting in
      defer { waiting = bytes }
      return waiting != nil
    }
    guard !isUnderWay else { return }
    queue.async { [self] in writeNewest() }
  }

  private func writeNewest() {
    guard
      let bytes = waiting.withLock({ waiting in
        defer { waiting = nil }
        return waiting
      })
    else { return }
    do throws(KeyStateFault) {
      try file.write(bytes)
      done(nil)
    } catch {
      done(error)
    }
  }

  /// Waits until what was to be written is, at most `milliseconds`.
  func flush(milliseconds: Int) {
    let flushed = DispatchSemaphore(value: 0)
    queue.async { flushed.signal() }
    _ = flushed.wait(timeout: .now() + .milliseconds(milliseconds))
  }
}
