// One GET over HTTP or HTTPS: resolve, connect to each address in turn, through a proxy's tunnel if there is one, TLS on
// the connection that was made, ask, read, all under one deadline.
// Redirects are not followed, nothing is retried: a fetch is started, answers once, and is over.

import CEvent
import COpenSSL
import EventLoops
import Glibc
import POSIX

/// What to fetch.
public struct FetchTarget: Equatable, Sendable {
  public var isTLS: Bool
  /// A name, a numeric address with no brackets, or `unix:` and a path.
  public var host: String
  public var port: UInt16
  /// Starts with `/`; may hold a query.
  public var path: String
  /// PEM certificates to trust in place of the system's CAs.
  public var caFile: String?
  /// Opens a tunnel for TLS; nothing else goes through it.
  public var proxy: FetchProxy?
  /// Whether addresses of the public Internet are passed over.
  public var staysPrivate: Bool

  public init(
    isTLS: Bool, host: String, port: UInt16, path: String, caFile: String? = nil, proxy: FetchProxy? = nil,
    staysPrivate: Bool = false
  ) {
    self.isTLS = isTLS
    self.host = host
    self.port = port
    self.path = path
    self.caFile = caFile
    self.proxy = isTLS ? proxy : nil
    self.staysPrivate = staysPrivate
  }

  /// The Host header's value (RFC 9110 section 7.2): the port only where it is not the scheme's own.
  var authority: String {
    if host.hasPrefix("unix:") { return "localhost" }
    let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    return port == (isTLS ? 443 : 80) ? name : "\(name):\(port)"
  }
}

/// A GET in flight. Thread: the loop's. It keeps itself, and its loop, until it has ended; a reference to it is needed only
/// to cancel it.
@safe public final class Fetch {
  private enum Step: String {
    case resolving = "resolving the host"
    case connecting = "connecting"
    case tunnelling = "waiting for the proxy"
    case securing = "making TLS"
    case waiting = "waiting for the response"
    case reading = "reading the response"
  }

  private let target: FetchTarget
  private let loop: EventLoop
  private var parser: ResponseParser
  private var tunnel = TunnelReply()
  private var completion: ((Result<FetchResponse, FetchFailure>) -> Void)?
  /// This fetch itself, until it has ended: the callbacks below reach it by address.
  private var inFlight: Fetch?
  private var step = Step.resolving
  private var deadline: Int64
  private var timer: LoopTimer?
  private var attemptTimer: LoopTimer?
  private var resolved: WakeUp.Attachment?
  private var addresses: [SocketAddress] = []
  private var tls: TLSContext?
  private var session: OpaquePointer?
  private var bufferevent: OpaquePointer?
  private var lastFailure = FetchFailure.connect("no address")
  private var received = [UInt8](repeating: 0, count: 16 * 1024)

  /// Starts at once.
  ///
  /// - Parameters:
  ///   - deadline: milliseconds for everything, name look-up included.
  ///   - maxBody: bytes of body above which the fetch fails.
  ///   - completion: called once, on the loop's thread, never inside this call; not after `cancel`.
  @discardableResult
  public init(
    _ target: FetchTarget, on loop: EventLoop, deadline: Int64 = 5_000, maxBody: Int = 256 * 1024,
    completion: @escaping (Result<FetchResponse, FetchFailure>) -> Void
  ) throws(SystemError) {
    self.target = target
    self.loop = loop
    self.completion = completion
    self.deadline = loop.now + deadline
    parser = ResponseParser(maxBody: maxBody)
    let mailbox = try Mailbox<Result<[SocketAddress], FetchFailure>>()
    timer = LoopTimer(on: loop) { [unowned self] in finish(.failure(.timeout(step.rawValue))) }
    timer?.schedule(afterMilliseconds: deadline)
    attemptTimer = LoopTimer(on: loop) { [unowned self] in
      lastFailure = .timeout(step.rawValue)
      connectNext()
    }
    resolved = mailbox.attach(to: loop) { [unowned self] in
      switch $0 {
      case .failure(let failure): finish(.failure(failure))
      case .success(let found):
        addresses = target.staysPrivate ? found.filter(\.isPrivate) : found
        if addresses.isEmpty { lastFailure = .connect("\(target.host) is no host of a private network") }
        connectNext()
      }
    }
    let (host, port) = target.proxy.map { ($0.host, $0.port) } ?? (target.host, target.port)
    inFlight = self
    Resolver.resolve(host, port: port) { mailbox.post($0) }
  }

  /// Ends it without an answer: closes its connection; the completion is never called. Nothing where it has ended.
  public func cancel() { end() }

  private func finish(_ result: Result<FetchResponse, FetchFailure>) {
    let completion = completion
    end()
    completion?(result)
  }

  /// What is called from here on finds no connection, no timer and no completion.
  private func end() {
    completion = nil
    timer?.cancel()
    attemptTimer?.cancel()
    dropConnection()
    inFlight = nil
  }

  private func dropConnection() {
    // Frees the TLS session and closes the socket with it (BEV_OPT_CLOSE_ON_FREE).
    if let bufferevent = unsafe bufferevent { unsafe bufferevent_free(bufferevent) }
    unsafe bufferevent = nil
    unsafe session = nil
  }

  // MARK: - Connecting

  private func connectNext() {
    dropConnection()
    guard !addresses.isEmpty else { return finish(.failure(lastFailure)) }
    step = .connecting
    // One silent address must not use up the time of those behind it.
    attemptTimer?.schedule(afterMilliseconds: max(1, (deadline - loop.now) / Int64(addresses.count)))
    let address = addresses.removeFirst()
    tunnel = TunnelReply()
    do throws(FetchFailure) {
      // TLS comes later, on a connection that is made: libevent tells why one can't be made of plain ones alone.
      unsafe bufferevent = try makePlain()
    } catch {
      return finish(.failure(error))
    }
    hear()
    let started = unsafe address.bytes.withUnsafeBytes { raw in
      // libevent copies nothing but the address itself, which the kernel reads inside this call.
      let socketAddress = unsafe UnsafeMutablePointer(mutating: raw.baseAddress!.assumingMemoryBound(to: sockaddr.self))
      return unsafe bufferevent_socket_connect(bufferevent, socketAddress, Int32(raw.count)) == 0
    }
    if !started {
      lastFailure = .connect(SystemError("connect").description)
      connectNext()
    }
  }

  private func hear() {
    unsafe bufferevent_setcb(
      bufferevent,
      { _, context in unsafe Unmanaged<Fetch>.fromOpaque(context!).takeUnretainedValue().readable() }, nil,
      { _, what, context in unsafe Unmanaged<Fetch>.fromOpaque(context!).takeUnretainedValue().happened(Int32(what)) },
      Unmanaged.passUnretained(self).toOpaque())
  }

  private func makePlain() throws(FetchFailure) -> OpaquePointer {
    let made = unsafe bufferevent_socket_new(loop.base, -1, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    guard let made = unsafe made else { throw .connect("no memory for a connection") }
    return unsafe made
  }

  /// - Parameter descriptor: a connected socket, owned by the result.
  private func makeSecure(over descriptor: Int32) throws(FetchFailure) -> OpaquePointer {
    let context = if let tls { tls } else { try TLSContext(caFile: target.caFile) }
    tls = context
    unsafe session = try context.session(for: target.host)
    let made = unsafe bufferevent_openssl_socket_new(
      loop.base, descriptor, session, BUFFEREVENT_SSL_CONNECTING, Int32(BEV_OPT_CLOSE_ON_FREE.rawValue))
    guard let made = unsafe made else { throw .connect("no memory for a connection") }
    return unsafe made
  }

  /// Puts TLS on the connection, which leads to the server, perhaps through a tunnel: a proxy sees what any router on the
  /// way would.
  private func secure() {
    step = .securing
    // Taken from the plain bufferevent, which else would close it. Not a copy: closed in the turn of its `event_del`, the
    // first descriptor would stay registered with epoll for as long as the copy lives (epoll_ctl comes at the turn's end).
    let descriptor = unsafe bufferevent_getfd(bufferevent)
    let isTaken = unsafe bufferevent_setfd(bufferevent, -1) == 0
    dropConnection()
    guard descriptor >= 0, isTaken else { return finish(.failure(.connect("no descriptor of the proxy's connection"))) }
    do throws(FetchFailure) {
      unsafe bufferevent = try makeSecure(over: descriptor)
    } catch {
      close(descriptor)
      return finish(.failure(error))
    }
    hear()
  }

  // MARK: - Through a proxy

  private func askForTunnel() {
    attemptTimer?.cancel()
    step = .tunnelling
    let question = TunnelReply.question(
      host: target.host, port: target.port, authorization: target.proxy?.authorization)
    guard unsafe bufferevent_write(bufferevent, question, question.count) == 0,
      unsafe bufferevent_enable(bufferevent, Int16(EV_READ | EV_WRITE)) == 0
    else { return finish(.failure(.connect("no memory for a request"))) }
  }

  // MARK: - Events

  private func happened(_ what: Int32) {
    if what & Int32(BEV_EVENT_CONNECTED) != 0 {
      guard step == .connecting, target.isTLS else { return ask() }
      return target.proxy == nil ? secure() : askForTunnel()
    }
    guard what & Int32(BEV_EVENT_ERROR | BEV_EVENT_EOF) != 0 else { return }
    let isClean = what & Int32(BEV_EVENT_EOF) != 0
    switch step {
    case .tunnelling:
      finish(.failure(.connect("the proxy ended the connection")))
    case .resolving, .connecting:
      lastFailure = .connect(SystemError("connect").description)
      connectNext()
    case .securing:
      let code = unsafe bufferevent_get_openssl_error(bufferevent)
      lastFailure = unsafe .tls(TLSContext.failure(of: session, code: UInt(code)))
      // A server that proves to be somebody else is no reason to ask the next address, but no harm either.
      connectNext()
    case .waiting, .reading:
      guard isClean else { return finish(.failure(.truncated)) }
      readable()
      guard completion != nil else { return }
      do throws(FetchFailure) { finish(.success(try parser.end())) } catch { finish(.failure(error)) }
    }
  }

  // MARK: - Asking and reading

  private func ask() {
    attemptTimer?.cancel()
    step = .waiting
    let request = Array(
      """
      GET \(target.path) HTTP/1.1\r
      Host: \(target.authority)\r
      User-Agent: access-gateway\r
      Accept: application/json\r
      Connection: close\r
      \r

      """.utf8)
    guard unsafe bufferevent_write(bufferevent, request, request.count) == 0,
      unsafe bufferevent_enable(bufferevent, Int16(EV_READ | EV_WRITE)) == 0
    else { return finish(.failure(.connect("no memory for a request"))) }
  }

  private func readable() {
    if step != .tunnelling { step = .reading }
    while completion != nil {
      let count = unsafe received.withUnsafeMutableBytes {
        unsafe bufferevent_read(bufferevent, $0.baseAddress, $0.count)
      }
      if count == 0 { return }
      do throws(FetchFailure) {
        if step == .tunnelling {
          if try tunnel.receive(received[..<count]) { return secure() }
          continue
        }
        if let response = try parser.receive(received[..<count]) { return finish(.success(response)) }
      } catch {
        return finish(.failure(error))
      }
    }
  }
}
