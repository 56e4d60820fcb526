// The state file of one issuer on disk: read with distrust, replaced in one step. It is trust material: who can write it
// can mint tokens. What is inside is KeyState's. `unsafe` is here because files are C calls; each reads or fills memory of
// its own frame only, during the call.

import Dispatch
import EventLoops
import Glibc
import HTTPFetch
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
    // A link could lead to a file that somebody else fills; a FIFO would block the start.
    let descriptor = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw .file(errno == ELOOP ? "\(path) is a link" : SystemError("open \(path)").description)
    }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw .file(SystemError("fstat \(path)").description) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .file("\(path) is no regular file") }
    guard status.st_uid == geteuid() || status.st_uid == 0 else { throw .file("\(path) belongs to another user") }
    guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else { throw .file("\(path) can be written by others") }
    guard status.st_size <= KeyState.maximumBytes else { throw .file("\(path) is too large") }
    return try contents(of: descriptor)
  }

  private func contents(of descriptor: Int32) throws(KeyStateFault) -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count <= KeyState.maximumBytes {
      let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { return bytes }
      guard count > 0 else { throw .file(SystemError("read \(path)").description) }
      bytes += part[..<count]
    }
    throw .file("\(path) is too large")
  }

  // MARK: - Writing

  /// Replaces the file: whoever reads it, whenever the power fails, finds the old bytes or the new ones.
  package func write(_ bytes: [UInt8]) throws(KeyStateFault) {
    if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST { throw failure("mkdir \(folder)") }
    let directory = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("open \(folder)") }
    defer { close(directory) }
    removeLeftovers(in: directory)
    // A second time where another process took a file that had no lock yet for a leftover.
    for isLast in [false, true] {
      if try replace(with: bytes, in: directory, isLast: isLast) { break }
    }
    // The name is on disk only when the folder is.
    guard fsync(directory) == 0 else { throw failure("fsync \(folder)") }
  }

  /// Writes a temporary file and puts it in the file's place. Its name is nobody else's, so that gateways with one folder
  /// need not wait for each other: a lock that they wait for could be held for ever by whoever may open it. A lock on the
  /// temporary file, which its owner alone may open, says that somebody is still writing.
  ///
  /// False where the temporary file was gone, unless this is the last attempt.
  private func replace(
    with bytes: [UInt8], in directory: Int32, isLast: Bool
  ) throws(KeyStateFault) -> Bool {
    let temporary = ".\(name).\(String(UInt64.random(in: 0...UInt64.max), radix: 16)).new"
    let descriptor = unsafe openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("create \(folder)/\(temporary)") }
    defer { close(descriptor) }
    _ = flock(descriptor, LOCK_EX | LOCK_NB)
    do throws(KeyStateFault) {
      try writeAll(bytes, to: descriptor)
      guard fsync(descriptor) == 0 else { throw failure("fsync \(folder)/\(temporary)") }
      guard unsafe renameat(directory, temporary, directory, name) == 0 else {
        if errno == ENOENT, !isLast { return false }
        throw failure("rename to \(path)")
      }
    } catch {
      _ = unsafe unlinkat(directory, temporary, 0)
      throw error
    }
    return true
  }

  /// Removes temporary files whose processes were killed: nobody holds their locks. Never waits.
  private func removeLeftovers(in directory: Int32) {
    for leftover in Self.names(in: folder) ?? [] where leftover.hasPrefix(".\(name).") && leftover.hasSuffix("new") {
      let descriptor = unsafe openat(directory, leftover, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
      // A link is none of ours.
      guard descriptor >= 0 else {
        if errno == ELOOP { _ = unsafe unlinkat(directory, leftover, 0) }
        continue
      }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { _ = unsafe unlinkat(directory, leftover, 0) }
      close(descriptor)
    }
  }

  /// The names in a folder; nil when it can't be read.
  package static func names(in folder: String) -> [String]? {
    // Safe: the stream is this function's own and closed at its end; an entry is copied before the next is read.
    guard let stream = unsafe opendir(folder) else { return nil }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      names.append(
        unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
          unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        })
    }
    return names
  }

  private func writeAll(_ bytes: [UInt8], to descriptor: Int32) throws(KeyStateFault) {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("write \(path)") }
      written += count
    }
  }

  private func failure(_ operation: String) -> KeyStateFault { .file(SystemError(operation).description) }
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
