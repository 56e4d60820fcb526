// `unix:` sockets: a path becomes a bound, listening descriptor with its mode and owner, in the place of a stale one only.
//
// Invariant: a socket's file is made, judged stale, and removed under a lock. Two processes that start on one stale file at
// the same moment would else each take the other's new socket, which is bound and does not listen yet, for the stale one.

import Glibc

extension ListenSocket {
  /// See `open`.
  static func openUnix(_ path: String, _ options: ListenOptions) throws(SystemError) -> ListenSocket {
    let name = "unix:\(path)"
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count <= ListenAddress.longestPath else {
      throw SystemError(
        "\(name) has \(bytes.count) bytes, a socket's path has at most \(ListenAddress.longestPath)", code: 0)
    }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let lock = try PathLock(besides: path)
    defer { withExtendedLifetime(lock) {} }
    let descriptor = try newSocket(AF_UNIX)
    do throws(SystemError) {
      try bind(descriptor, path, &address, options)
      if options.user != nil || options.group != nil {
        guard unsafe lchown(path, options.user ?? uid_t.max, options.group ?? gid_t.max) == 0 else {
          let error = SystemError("chown \(name)")
          _ = unsafe unlink(path)
          throw error
        }
      }
      guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemError("listen \(name)") }
    } catch {
      close(descriptor)
      throw error
    }
    return ListenSocket(descriptor: descriptor, address: .unix(path: path), options: options)
  }

  private static func bind(
    _ descriptor: Int32, _ path: String, _ address: inout sockaddr_un, _ options: ListenOptions
  ) throws(SystemError) {
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    // The file is born with its mode, so that there is no moment in which it is wider. Nobody can connect before
    // listen(2), so not before it has its owner either. Other threads make no files while the program starts.
    let before = umask(~options.mode & 0o777)
    // Safe: the address is this caller's, and the kernel reads it during the calls only.
    let failure = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> Int32 in
        let bindAddress = unsafe __CONST_SOCKADDR_ARG(__sockaddr__: generic)
        if unsafe Glibc.bind(descriptor, bindAddress, size) == 0 { return 0 }
        let failure = errno
        guard failure == EADDRINUSE, unsafe isStale(path, generic, size) else { return failure }
        guard unsafe unlink(path) == 0 else { return errno }
        return unsafe Glibc.bind(descriptor, bindAddress, size) == 0 ? 0 : errno
      }
    }
    umask(before)
    guard failure == 0 else { throw SystemError("bind unix:\(path)", code: failure) }
  }

  /// A socket file that nobody listens on any more: left by a process that died. A living one is never taken over, nor
  /// is a file of another kind: connecting to one is refused in the same words.
  private static func isStale(_ path: String, _ address: UnsafePointer<sockaddr>, _ size: socklen_t) -> Bool {
    guard let status = FileStatus(path, followingLinks: false), status.isSocket else { return false }
    // Non-blocking: at one that lives and has a full queue, connecting would wait.
    guard let probe = try? newSocket(AF_UNIX) else { return false }
    defer { close(probe) }
    return unsafe connect(probe, __CONST_SOCKADDR_ARG(__sockaddr__: address), size) != 0 && errno == ECONNREFUSED
  }
}

/// A lock on what happens at a path: a file beside it, which is there only while the lock is held.
private struct PathLock: ~Copyable {
  private let file: FileDescriptor

  /// Waits for another process that is about to open the same socket, which takes milliseconds; two seconds at most.
  init(besides socket: String) throws(SystemError) {
    let path = socket + ".lock"
    for _ in 0..<200 {
      let file: FileDescriptor
      do throws(SystemError) {
        // Nobody else may open it, or they could hold it for ever.
        file = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode: 0o600)
      } catch {
        throw SystemError("bind unix:\(socket)", code: error.code)
      }
      // Whoever had the lock before may have removed the file that was opened here; then another one counts.
      if file.tryLock(), let there = FileStatus(path, followingLinks: false), try file.status().isSameFile(as: there) {
        self.file = file
        return
      }
      usleep(10_000)
    }
    throw SystemError("bind unix:\(socket): another process holds \(path)", code: 0)
  }

  deinit { _ = unsafe unlink(file.name) }
}
