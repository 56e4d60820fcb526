// TLS under a connection of the gate: the handshake, decrypted bytes in, encrypted bytes out. What the bytes mean is the
// gate's and the frames' to say, as for bytes in clear.

import CEvent
import EventLoops
import Glibc
import POSIX
import TLS

/// The TLS of one connection. Thread: the loop's.
final class SecureChannel {
  fileprivate var tls: TLSServerConnection
  /// The handshake is done: bytes may be read.
  fileprivate(set) var isEstablished = false

  /// Nil where there is no memory.
  init?(_ context: TLSServerContext, descriptor: Int32) {
    guard let tls = TLSServerConnection(context, descriptor: descriptor) else { return nil }
    self.tls = tls
  }

  /// Tells the client that nothing more will come.
  func sayGoodbye() {
    if isEstablished { _ = tls.shutdown() }
  }
}

extension HTTPServer {
  /// A connection of a TLS listener begins. Its handshake has the time of a head; nothing of a request is read before.
  func startHandshake(_ connection: Connection) {
    keepEvhttpFromReading(connection)
    unsafe connection.reading = unsafe event_new(
      loop.base, connection.descriptor, Int16(EV_READ | EV_PERSIST),
      { _, _, context in
        unsafe Unmanaged<Connection>.fromOpaque(context!)._withUnsafeGuaranteedRef { connection in
          connection.withServer { $0.securelyReadable(connection) }
        }
      }, Unmanaged.passUnretained(connection).toOpaque())
    guard let certificate, let channel = SecureChannel(certificate, descriptor: connection.descriptor) else {
      return close(connection)
    }
    connection.secure = channel
    resumeReading(connection)
  }

  /// The socket has bytes, has ended, or has failed; or OpenSSL holds bytes that the gate has not seen.
  private func securelyReadable(_ connection: Connection) {
    guard let channel = connection.secure else { return close(connection) }
    if !channel.isEstablished {
      isSilentNoMore(connection)
      shakeHands(connection, channel)
    } else if connection.takesTurnsUntil > 0, takesTurnsNow(connection) {
      awaitTurn(connection)
    } else {
      readSecurely(connection, share: 1)
    }
  }

  private func shakeHands(_ connection: Connection, _ channel: SecureChannel) {
    guard connection.state == .idle else { return }
    switch channel.tls.handshake() {
    case .done:
      connection.watch = nil
      channel.isEstablished = true
      let speaksHTTP2 = channel.tls.speaksHTTP2
      handler.connectionSpeaks(speaksHTTP2 ? .http2OverTLS : .http1OverTLS)
      // As new as one in clear that was just accepted.
      move(connection, to: .head)
      silent.append(connection)
      publishIdle()
      if speaksHTTP2 {
        connection.state = .framed
        beginFrames(connection)
      }
      if connection.state == .idle || connection.state == .framed { readSecurely(connection, share: 1) }
    case .wantsRead, .bytes:
      connection.watch = nil
    case .wantsWrite:
      if connection.watch == nil {
        connection.watch = DescriptorWatch(connection.descriptor, for: EV_WRITE, on: loop) {
          [unowned self, unowned connection] in
          guard let channel = connection.secure else { return }
          shakeHands(connection, channel)
        }
      }
    case .ended:
      handler.handshakeFailed("the client closed during the handshake")
      close(connection)
    case .failed(let reason):
      handler.handshakeFailed(reason)
      close(connection)
    }
  }

  /// - Parameter share: how many heads may be answered now.
  func readSecurely(_ connection: Connection, share: Int) {
    // What comes behind the last reply is thrown away as it is.
    guard connection.state != .lingering else { return read(connection, share: share) }
    guard connection.state != .closing, let channel = connection.secure else { return }
    var count = 0
    var end: TLSStep?
    while end == nil, unsafe count < input.count {
      // The range that is given is the unfilled rest of the server's own buffer.
      let rest = unsafe UnsafeMutableBufferPointer(rebasing: input[count...])
      let step = unsafe channel.tls.read(into: UnsafeMutableRawBufferPointer(rest))
      if case .bytes(let more) = step { count += more } else { end = step }
    }
    if count > 0 {
      // The bytes stay as they are while they are looked at: only this function and `read` write there.
      let bytes = unsafe UnsafeBufferPointer(start: input.baseAddress, count: count).span
      received(connection, bytes, share: share)
    }
    switch end {
    case nil: readWhatIsDecrypted(connection)
    case .wantsRead, .wantsWrite, .done, .bytes: break
    case .ended: endedSecurely(connection)
    case .failed: if connection.state != .lingering { close(connection) }
    }
  }

  /// The client sends no more; heads that wait for their turn are still answered.
  private func endedSecurely(_ connection: Connection) {
    switch connection.state {
    case .yielding:
      connection.hasEnded = true
    case .framed:
      connection.hasEnded = true
      pauseReading(connection)
      framesHaveEnded(connection)
    case .lingering, .closing: break
    case .idle, .partial, .waiting, .replying: ended(connection, isClean: true)
    }
  }

  /// The kernel does not tell of bytes that OpenSSL has read from it: the reading event is set off by hand, if it is on.
  func readWhatIsDecrypted(_ connection: Connection) {
    guard let channel = connection.secure, channel.tls.hasPendingBytes else { return }
    guard unsafe event_pending(connection.reading, Int16(EV_READ), nil) != 0 else { return }
    unsafe event_active(connection.reading, Int32(EV_READ), 0)
  }

  /// Bytes that were taken; -1 when the connection is dead.
  func sendSecurely(_ connection: Connection, _ bytes: Span<UInt8>) -> Int {
    guard let channel = connection.secure, channel.isEstablished else { return -1 }
    var sent = 0
    while sent < bytes.count {
      switch channel.tls.write(bytes.extracting(sent...)) {
      case .bytes(let count): sent += count
      case .wantsWrite: return sent
      // A write that must wait for the client to send would be a renegotiation, which there is none of.
      case .wantsRead, .done, .ended, .failed: return -1
      }
    }
    return sent
  }
}
