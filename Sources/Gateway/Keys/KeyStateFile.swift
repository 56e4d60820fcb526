// The state file of one issuer on disk: read with distrust, replaced in one step. It is trust material: who can write it
// can mint tokens. What is inside is KeyState's. `unsafe` is here because files are C calls; each reads or fills memory of
// its own frame only, during the call.

import Dispatch
import EventHTTP
import Glibc
import Locking
import Verification

/// Where an issuer's last good set is kept. Any thread; calls block on the disk.
struct KeyStateFile: Sendable {
  let folder: String
  /// `keys-<32 hex digits of the issuer's SHA-256>`
  let name: String

  /// The beginning of every state file's name.
  static let prefix = "keys-"

  init(folder: String, issuer: String) {
    self.folder = folder
    name = Self.prefix + SHA256Digest(of: Array(issuer.utf8).span).hex.prefix(32)
  }

  init(folder: String, name: String) {
    self.folder = folder
    self.name = name
  }

  var path: String { "\(folder)/\(name)" }

  // MARK: - Reading

  /// The file's bytes; nil when there is none.
  func read() throws(KeyStateFault) -> [UInt8]? {
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
  func write(_ bytes: [UInt8]) throws(KeyStateFault) {
    if unsafe mkdir(folder, 0o700) != 0, errno != EEXIST { throw failure("mkdir \(folder)") }
    let directory = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { throw failure("open \(folder)") }
    defer { close(directory) }
    // Two gateways with one folder would otherwise write one temporary file.
    let turn = try lock(directory)
    defer { close(turn) }
    let temporary = ".\(name).new"
    // Left behind by a process that was killed.
    _ = unsafe unlinkat(directory, temporary, 0)
    let descriptor = unsafe openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("create \(folder)/\(temporary)") }
    do throws(KeyStateFault) {
      defer { close(descriptor) }
      try writeAll(bytes, to: descriptor)
      guard fsync(descriptor) == 0 else { throw failure("fsync \(folder)/\(temporary)") }
    } catch {
      _ = unsafe unlinkat(directory, temporary, 0)
      throw error
    }
    guard unsafe renameat(directory, temporary, directory, name) == 0 else {
      let failed = failure("rename to \(path)")
      _ = unsafe unlinkat(directory, temporary, 0)
      throw failed
    }
    // The name is on disk only when the folder is.
    guard fsync(directory) == 0 else { throw failure("fsync \(folder)") }
  }

  private static let lockName = ".lock"

  /// Waits for its turn to write, half a second at most: others need no longer than a file takes. The turn lasts until
  /// the descriptor is closed, or the process ends.
  ///
  /// The lock is on a file that its owner alone may open. Whoever may open the folder, to read it, could hold a lock on
  /// the folder itself for ever.
  private func lock(_ directory: Int32) throws(KeyStateFault) -> Int32 {
    let path = "\(folder)/\(Self.lockName)"
    let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    let descriptor = unsafe openat(directory, Self.lockName, flags, 0o600)
    guard descriptor >= 0 else { throw failure("open \(path)") }
    var status = stat()
    let isOwn =
      unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_uid == geteuid()
    guard isOwn, fchmod(descriptor, 0o600) == 0 else {
      close(descriptor)
      throw .file("\(path) is no regular file of this user")
    }
    for _ in 0..<10 {
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return descriptor }
      usleep(50_000)
    }
    close(descriptor)
    throw .file("\(path) is locked by another process")
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
  func write(_ bytes: [UInt8]) {
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
