// Keeps one issuer's last good set on disk: what may be taken from there, and what is said when writing fails. The format
// is KeyState's, the file KeyStateFile's.

import EventLoops
import POSIX
import Telemetry
import Verification

/// Thread: the control loop's; a queue writes.
final class KeyStateKeeper {
  private let file: KeyStateFile
  private let issuer: String
  private let source: String
  private let log: Log
  private let reader: KeySetReader
  private let writer: KeyStateWriter
  private var results: WakeUp.Attachment?
  private var isWriteFailing = false
  /// Files that were not used, and writes that failed.
  private(set) var faults: UInt64 = 0

  /// - Parameters:
  ///   - issuer: as in `iss`.
  ///   - source: the keys URL.
  init(
    folder: String, issuer: String, source: String, reader: KeySetReader, on loop: EventLoop, log: Log
  ) throws(SystemError) {
    self.issuer = issuer
    self.source = source
    self.reader = reader
    self.log = log
    file = KeyStateFile(folder: folder, issuer: issuer)
    let mailbox = try Mailbox<KeyStateFault?>()
    writer = KeyStateWriter(file) { mailbox.post($0) }
    results = mailbox.attach(to: loop) { [unowned self] in written($0) }
  }

  /// What the file holds, if that may be trusted; blocks for one small file.
  ///
  /// - Parameters:
  ///   - wall: seconds since 1970.
  ///   - maxAge: seconds.
  func restore(at wall: Int, maxAge: Int) -> (state: KeyState, set: JWKSet)? {
    do throws(KeyStateFault) {
      guard let bytes = try file.read() else { return nil }
      let state = try KeyState(decoding: bytes)
      if let fault = state.fault(issuer: issuer, source: source, now: wall, maxAge: maxAge) { throw fault }
      switch reader.read(state.set) {
      case .success(let fetched): return (state, fetched.set)
      case .failure(let failure):
        throw .set("the keys inside are not usable under the settings: \(failure.description)")
      }
    } catch {
      faults += 1
      log.warning(
        "state_file_ignored", ("issuer", .string(issuer)), ("file", .string(file.path)),
        ("why", .string(error.description)))
      return nil
    }
  }

  /// Replaces what the file holds, some time soon.
  ///
  /// - Parameters:
  ///   - set: as it was fetched.
  ///   - fetchedAt: seconds since 1970.
  ///   - firstSeen: as `KeyState.seen`.
  func keep(_ set: [UInt8], fetchedAt: Int, firstSeen: [String: Int]) {
    let state = KeyState(issuer: issuer, source: source, fetchedAt: fetchedAt, seen: firstSeen, set: set)
    writer.write(state.encoded)
  }

  /// Waits until what was to be written is, at most `milliseconds`.
  func finish(milliseconds: Int) { writer.flush(milliseconds: milliseconds) }

  /// One warning when writing begins to fail, one line when it works again.
  private func written(_ fault: KeyStateFault?) {
    if let fault {
      faults += 1
      if !isWriteFailing {
        log.warning("state_file_not_written", ("issuer", .string(issuer)), ("why", .string(fault.description)))
      }
    } else if isWriteFailing {
      log.info("state_file_written", ("issuer", .string(issuer)))
    }
    isWriteFailing = fault != nil
  }
}
