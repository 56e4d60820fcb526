// Listening sockets: what stands in the way of a `unix:` one, whom it lets in, and which families `[::]` takes.

import Foundation
import POSIX
import Testing

@testable import HTTPServing
@testable import POSIX

/// One after the other: the umask, which a socket's mode hangs on for a moment, is the process's.
@Suite(.serialized) final class ListenSocketTests {
  private let folder = "/tmp/listen-\(UUID().uuidString)"
  private var path: String { folder + "/socket" }
  private var opened: [Int32] = []

  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false) }

  deinit {
    for descriptor in opened { close(descriptor) }
    try? FileManager.default.removeItem(atPath: folder)
  }

  private func listen(_ options: ListenOptions = ListenOptions()) throws {
    opened.append(try ListenSocket.open(.unix(path: path), options).descriptor)
  }

  private func status() throws -> stat {
    var status = stat()
    try #require(unsafe lstat(path, &status) == 0)
    return status
  }

  @Test func `a file that is no socket is never taken for a stale one`() throws {
    try Data("precious".utf8).write(to: URL(fileURLWithPath: path))
    #expect(throws: SystemError.self) { try listen() }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
  }

  @Test func `why a socket cannot be bound is said as it is`() throws {
    for (path, code, words) in [
      (folder + "/nothing/socket", ENOENT, "No such file or directory"), ("/proc/socket", ENOENT, "No such file"),
      (folder + "/file/socket", ENOTDIR, "Not a directory"),
      ("/" + String(repeating: "a", count: 107), 0, "has 108 bytes, a socket's path has at most 107"),
    ] {
      try Data().write(to: URL(fileURLWithPath: folder + "/file"))
      let error = #expect(throws: SystemError.self) { try ListenSocket.open(.unix(path: path)) }
      #expect(error?.code == code && error?.description.contains(words) == true, "\(error?.description ?? "")")
    }
  }

  @Test func `of many that start on one stale socket at once, one has it and lives`() throws {
    for _ in 0..<20 {
      try listen()
      close(opened.removeLast())
      let path = path
      let winners = Locked<[Int32]>([])
      DispatchQueue.concurrentPerform(iterations: 8) { _ in
        if let socket = try? ListenSocket.open(.unix(path: path)) { winners.withLock { $0.append(socket.descriptor) } }
      }
      let descriptors = winners.withLock { $0 }
      opened += descriptors
      #expect(descriptors.count == 1)
      #expect(throws: SystemError.self, "it is the one that is there") { try listen() }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["socket"], "no lock is left")
      while let descriptor = opened.popLast() { close(descriptor) }
      _ = unsafe unlink(path)
    }
  }

  @Test func `a port that somebody listens on is seen, and only shared where that is asked for`() throws {
    var shared = ListenOptions()
    shared.sharesPort = true
    let first = try ListenSocket.open(.tcp(host: "127.0.0.1", port: 0), shared)
    opened.append(first.descriptor)
    #expect(!ListenSocket.isListenedAt(first.address, shared), "bound is not listening")
    try first.startListening()
    #expect(ListenSocket.isListenedAt(first.address, shared))
    opened.append(try ListenSocket.open(first.address, shared).descriptor)
    let error = #expect(throws: SystemError.self) { try ListenSocket.open(first.address) }
    #expect(error?.description == "bind \(first.address): Address already in use")
  }

  @Test func `a link to a socket is not followed`() throws {
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: folder + "/nothing")
    #expect(throws: SystemError.self) { try listen() }
  }

  @Test func `a stale socket is replaced, a living one stays`() throws {
    try listen()
    #expect(throws: SystemError.self) { try listen() }
    close(opened.removeLast())
    #expect(try status().st_mode & S_IFMT == S_IFSOCK, "what a process that died leaves behind")
    try listen()
    #expect(throws: SystemError.self) { try listen() }
  }

  @Test(arguments: [UInt32(0o600), 0o660, 0o666, 0o777, 0o000])
  func `the file has the mode that was asked for, whatever the umask`(mode: UInt32) throws {
    var options = ListenOptions()
    options.mode = mode
    try listen(options)
    #expect(try status().st_mode & 0o7777 == mode)
  }

  @Test func `the file has the owner that was asked for, or there is none`() throws {
    var options = ListenOptions()
    options.group = getegid()
    options.user = geteuid()
    try listen(options)
    #expect(try status().st_gid == getegid())
    guard geteuid() == 0 else { return print("not root: another owner cannot be tried") }
    close(opened.removeLast())
    options.user = 12_345
    options.group = 54_321
    try listen(options)
    #expect(try status().st_uid == 12_345 && status().st_gid == 54_321)
  }

  @Test(arguments: [true, false])
  func `two colons take IPv4 too, unless told otherwise`(both: Bool) throws {
    var options = ListenOptions()
    options.takesBothFamilies = both
    options.sharesPort = true
    guard FileManager.default.fileExists(atPath: "/proc/net/if_inet6") else {
      return print("no IPv6 here: not tried")
    }
    let socket = try ListenSocket.open(.tcp(host: "::", port: 0), options)
    opened.append(socket.descriptor)
    let sibling = try socket.sibling()
    opened.append(sibling.descriptor)
    try sibling.startListening()
    guard case .tcp(_, let port) = socket.address else { return }
    if both {
      let client = try TestClient(port)
      client.close()
    } else {
      #expect(throws: SystemError.self) { try TestClient(port) }
    }
  }

  @Test func `sockets that are meant for another process are left alone`() throws {
    #expect(try ListenSocket.inherited(environment: [:]).isEmpty)
    #expect(try ListenSocket.inherited(environment: ["LISTEN_FDS": "1"]).isEmpty)
    #expect(try ListenSocket.inherited(environment: ["LISTEN_FDS": "1", "LISTEN_PID": "1"]).isEmpty)
    let own = String(getpid())
    #expect(try ListenSocket.inherited(environment: ["LISTEN_FDS": "0", "LISTEN_PID": own]).isEmpty)
    for wrong in ["", "x", "-1", "1025", "1 "] {
      #expect(throws: SystemError.self, "\(wrong)") {
        try ListenSocket.inherited(environment: ["LISTEN_FDS": wrong, "LISTEN_PID": own])
      }
    }
  }
}
