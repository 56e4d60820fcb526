// Bytes over TLS, and how a connection ends.

import COpenSSL
import Glibc
import TLS
import Testing

@Suite struct ConnectionTests {
  private let folder = Folder()

  private func connected() throws -> PairedClient {
    var pair = PairedClient(try TLSServerContext(settings(selfSigned(folder))))
    let hands = pair.shakeHands()
    #expect(hands.server == .done && hands.client)
    return pair
  }

  @Test func `bytes go both ways, and nothing here is wantsRead`() throws {
    var pair = try connected()
    #expect(pair.read().step == .wantsRead)
    #expect(pair.send([1, 2, 3]) == 3)
    let (step, bytes) = pair.read()
    #expect(step == .bytes(3) && bytes == [1, 2, 3])
    let reply: [UInt8] = [4, 5]
    let written = pair.server.write(reply.span)
    #expect(written == .bytes(2))
    #expect(pair.receive() == [4, 5])
  }

  @Test func `a full socket is wantsWrite, and the rest goes when there is room, from elsewhere in memory`() throws {
    var pair = try connected()
    let block = (0..<16_000).map { UInt8(truncatingIfNeeded: $0) }
    var sent = 0
    while true {
      let step = pair.server.write(block.span.extracting((sent % block.count)...))
      guard case .bytes(let count) = step else {
        #expect(step == .wantsWrite)
        break
      }
      sent += count
    }
    var received: [UInt8] = []
    while let bytes = pair.receive() { received += bytes }
    let copy = Array(block[(sent % block.count)...])
    guard case .bytes(let count) = pair.server.write(copy.span) else {
      Issue.record("the socket has room")
      return
    }
    sent += count
    while let bytes = pair.receive() { received += bytes }
    #expect(received.count == sent)
    #expect(received.indices.allSatisfy { received[$0] == block[$0 % block.count] })
  }

  @Test func `a close_notify is the end, and so is a socket that is closed`() throws {
    var pair = try connected()
    _ = unsafe SSL_shutdown(pair.session)
    #expect(pair.read().step == .ended)
    // Half-closed: the server may still answer.
    let reply: [UInt8] = [4]
    let written = pair.server.write(reply.span)
    #expect(written == .bytes(1))

    var cut = try connected()
    shutdown(cut.descriptor, Int32(SHUT_RDWR))
    let (step, bytes) = cut.read()
    #expect(step == .failed("the client closed without a close_notify") && bytes.isEmpty)
  }

  @Test func `the server's end is a close_notify`() throws {
    var pair = try connected()
    let step = pair.server.shutdown()
    #expect(step == .done)
    #expect(pair.receive() == nil)
    #expect(unsafe SSL_get_shutdown(pair.session) & SSL_RECEIVED_SHUTDOWN != 0)
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\u{0}\u{5}aaaaaaaaa", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ])
  func `what is no TLS fails the handshake`(text: String) throws {
    var pair = PairedClient(try TLSServerContext(settings(selfSigned(folder))))
    let bytes = Array(text.utf8)
    #expect(unsafe write(pair.descriptor, bytes, bytes.count) == bytes.count)
    let step = pair.server.handshake()
    guard case .failed = step else {
      Issue.record("not refused: \(step)")
      return
    }
  }

  @Test func `a record that was changed on its way fails the connection`() throws {
    var pair = try connected()
    let record: [UInt8] = [0x17, 3, 3, 0, 20] + Array(repeating: 7, count: 20)
    #expect(unsafe write(pair.descriptor, record, record.count) == record.count)
    guard case .failed = pair.read().step else {
      Issue.record("taken")
      return
    }
    let reply: [UInt8] = [4]
    let step = pair.server.write(reply.span)
    #expect(step == .failed("the connection has failed before"))
  }

  @Test func `a connection goes on with its context when a new one is there`() throws {
    let files = selfSigned(folder)
    var context: TLSServerContext? = try TLSServerContext(settings(files))
    var pair = PairedClient(context!)
    context = nil
    #expect(pair.shakeHands().client)
    #expect(pair.send([1]) == 1)
    #expect(pair.read().bytes == [1])
  }
}
