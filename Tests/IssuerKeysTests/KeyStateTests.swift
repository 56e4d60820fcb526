// The state file: what it holds, and on disk what is trusted.

import Foundation
import Testing

@testable import IssuerKeys

private let issuer = "https://acme.cloudflareaccess.com"
private let source = issuer + "/cdn-cgi/access/certs"
private let now = 1_800_000_000

private func state(set: String = #"{"keys":[]}"#, fetchedAt: Int = now - 10) -> KeyState {
  KeyState(
    issuer: issuer, source: source, fetchedAt: fetchedAt,
    seen: [String(repeating: "a", count: 64): 1_700_000_000, String(repeating: "0", count: 64): 1_700_000_001],
    set: Array(set.utf8))
}

private func fault(decoding bytes: [UInt8]) -> KeyStateFault? {
  do throws(KeyStateFault) {
    _ = try KeyState(decoding: bytes)
    return nil
  } catch {
    return error
  }
}

@Suite("What a state file holds")
struct KeyStateTests {
  @Test(arguments: ["", "{}", "\n\n\u{0}", String(repeating: "x", count: 262_144)])
  func `a state is read as it was written`(_ set: String) throws {
    #expect(try KeyState(decoding: state(set: set).encoded) == state(set: set))
  }

  @Test func `each cut and each changed byte of a file is noticed`() {
    let whole = state().encoded
    for end in whole.indices { #expect(fault(decoding: Array(whole[..<end])) != nil, "cut at \(end)") }
    for at in whole.indices {
      var changed = whole
      changed[at] ^= 1
      #expect(fault(decoding: changed) != nil, "byte \(at)")
    }
    #expect(fault(decoding: whole + [10]) != nil)
    #expect(fault(decoding: whole + whole) != nil)
  }

  @Test func `a file of another version is said to be one`() {
    let other = String(decoding: state().encoded, as: UTF8.self).replacing(
      "access-gateway keys 1", with: "access-gateway keys 2")
    #expect(fault(decoding: Array(other.utf8)) == .version)
  }

  @Test(arguments: [
    "", "\n", "access-gateway keys 1", "access-gateway keys 1\n", "{\"keys\":[]}",
    "access-gateway keys 1\nissuer a\nfrom b\nfetched -1\nlength 0\nsha256 x\n\n",
    "access-gateway keys 1\nissuer a\nfrom b\nfetched 1\nseen x 1\nlength 0\nsha256 x\n\n",
    "access-gateway keys 1\nissuer a\nfrom b\nfetched 1\nlength 99999999999999999999\nsha256 x\n\n",
    "access-gateway keys 1\nissuer a\nfetched 1\nfrom b\nlength 0\nsha256 x\n\n",
  ])
  func `what is no state file is malformed`(_ text: String) {
    #expect(fault(decoding: Array(text.utf8)) == .malformed)
  }

  @Test func `a file with a sum of nothing is refused by the sum`() {
    #expect(
      fault(decoding: Array("access-gateway keys 1\nissuer a\nfrom b\nfetched 1\nlength 0\nsha256 x\n\n".utf8))
        == .checksum)
  }

  @Test(
    arguments: [
      (issuer, source, now - 10, nil), (issuer, source, now - 604_799, nil), (issuer, source, now - 604_800, .tooOld),
      (issuer, source, now + 60, nil), (issuer, source, now + 61, .future), (issuer + "x", source, now, .issuer),
      (issuer, source + "2", now, .source),
    ] as [(String, String, Int, KeyStateFault?)])
  func `another issuer's, a future and a too old file are not used`(
    _ issuer: String, _ source: String, _ fetchedAt: Int, _ expected: KeyStateFault?
  ) {
    let fault = state(fetchedAt: fetchedAt).fault(issuer: issuer, source: source, now: now, maxAge: 604_800)
    #expect(fault == expected)
  }
}

@Suite("The state file on disk")
struct KeyStateFileTests {
  private let folder: String
  private let file: KeyStateFile

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "key-state-\(UUID().uuidString)").path
    file = KeyStateFile(folder: folder, issuer: issuer)
  }

  private func remove() { try? FileManager.default.removeItem(atPath: folder) }

  private func fault() -> String? {
    do throws(KeyStateFault) {
      _ = try file.read()
      return nil
    } catch {
      return error.description
    }
  }

  @Test func `what is written is read, by the owner alone`() throws {
    defer { remove() }
    #expect(try file.read() == nil)
    try file.write([1, 2, 3])
    try file.write([4])
    #expect(try file.read() == [4])
    let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [file.name])
  }

  @Test func `two issuers have two files`() {
    #expect(KeyStateFile(folder: folder, issuer: issuer + "2").name != file.name)
  }

  @Test func `a temporary file that a killed process left behind is in nobody's way`() throws {
    defer { remove() }
    try file.write([1])
    try Data([9, 9]).write(to: URL(filePath: "\(folder)/.\(file.name).new"))
    #expect(try file.read() == [1])
    try file.write([2])
    #expect(try file.read() == [2])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [file.name])
  }

  @Test func `whoever may open the folder can't keep it from being written`() throws {
    defer { remove() }
    try file.write([1])
    let directory = unsafe open(folder, O_RDONLY | O_DIRECTORY)
    defer { close(directory) }
    #expect(flock(directory, LOCK_EX | LOCK_NB) == 0)
    let written = unsafe open(file.path, O_RDONLY)
    defer { close(written) }
    #expect(flock(written, LOCK_EX | LOCK_NB) == 0)
    try file.write([2])
    #expect(try file.read() == [2])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [file.name])
  }

  @Test func `what another process is writing is left to it`() throws {
    defer { remove() }
    try file.write([1])
    let other = "\(folder)/.\(file.name).cafe.new"
    try Data([9]).write(to: URL(filePath: other))
    let descriptor = unsafe open(other, O_WRONLY)
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    try file.write([2])
    #expect(FileManager.default.fileExists(atPath: other))
    close(descriptor)
    try file.write([3])
    #expect(!FileManager.default.fileExists(atPath: other))
    #expect(try file.read() == [3])
  }

  @Test(arguments: [0o620, 0o602, 0o666])
  func `a file that others can write is not read`(_ mode: Int) throws {
    defer { remove() }
    try file.write([1])
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    #expect(fault() == "\(file.path) can be written by others")
    // The next good set puts a file of its own in its place.
    try file.write([2])
    #expect(try file.read() == [2])
  }

  @Test func `a link is not followed, neither to read nor to write`() throws {
    defer { remove() }
    try file.write([1])
    let elsewhere = folder + "/elsewhere"
    try FileManager.default.moveItem(atPath: file.path, toPath: elsewhere)
    try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: elsewhere)
    #expect(fault() == "\(file.path) is a link")
    try file.write([2])
    #expect(try file.read() == [2])
    #expect(try Data(contentsOf: URL(filePath: elsewhere)) == Data([1]))
  }

  @Test func `a folder and a FIFO in its place are not read, and nobody waits for them`() throws {
    defer { remove() }
    try FileManager.default.createDirectory(atPath: file.path, withIntermediateDirectories: true)
    #expect(fault() == "\(file.path) is no regular file")
    try FileManager.default.removeItem(atPath: file.path)
    #expect(unsafe mkfifo(file.path, 0o600) == 0)
    #expect(fault() == "\(file.path) is no regular file")
  }

  @Test func `another user's file is not read`() throws {
    defer { remove() }
    try file.write([1])
    guard geteuid() == 0 else {
      print("skipped: only root can give a file away")
      return
    }
    #expect(unsafe chown(file.path, 12_345, 12_345) == 0)
    #expect(fault() == "\(file.path) belongs to another user")
  }

  @Test func `a file larger than any state is not read`() throws {
    defer { remove() }
    try file.write([UInt8](repeating: 0, count: KeyState.maximumBytes + 1))
    #expect(fault() == "\(file.path) is too large")
  }

  @Test func `a folder that cannot be had fails with its name, and leaves what is there`() throws {
    #expect(throws: KeyStateFault.self) { try KeyStateFile(folder: "/proc/none/x", issuer: issuer).write([1]) }
    #expect(throws: KeyStateFault.self) { try KeyStateFile(folder: "/proc/version", issuer: issuer).write([1]) }
  }

  @Test func `a link in the temporary file's place is removed, not written through`() throws {
    defer { remove() }
    try file.write([1])
    let elsewhere = folder + "/elsewhere"
    try Data([7]).write(to: URL(filePath: elsewhere))
    try FileManager.default.createSymbolicLink(
      atPath: "\(folder)/.\(file.name).new", withDestinationPath: elsewhere)
    try file.write([2])
    #expect(try file.read() == [2])
    #expect(try Data(contentsOf: URL(filePath: elsewhere)) == Data([7]))
  }

  @Test func `the writer writes the newest of those that wait, and says how it ended`() throws {
    defer { remove() }
    let writer = KeyStateWriter(file) { #expect($0 == nil) }
    for number in 0..<50 as Range<UInt8> { writer.write([number]) }
    writer.flush(milliseconds: 10_000)
    #expect(try file.read() == [49])
  }
}
