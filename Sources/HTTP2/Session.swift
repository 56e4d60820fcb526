// nghttp2's session: the only file that sees nghttp2. Each C callback is one step that recovers the connection and calls a
// named method; no rule of ours is here.
//
// Invariants: `handle` is one nghttp2 session, made in `init`, freed in `deinit`, used on one thread. `account` outlives it.
// Our own callbacks never free it: they answer false, and the call returns. nghttp2's HTTP messaging rules are off: it
// would drop bad fields in silence; DecodedFields and IncomingBodies judge instead.

import CNGHTTP2
import Glibc

/// RFC 9113, section 7: those that we send.
enum ErrorCode: UInt32 {
  case noError = 0x0
  case protocolError = 0x1
  case refusedStream = 0x7
  case enhanceYourCalm = 0xB
}

/// What a session's allocations add up to.
private struct MemoryAccount {
  var used = 0
  var limit: Int

  func admits(_ count: Int) -> Bool { count <= limit - used }

  mutating func add(_ memory: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let memory = unsafe memory { used += unsafe malloc_usable_size(memory) }
    return unsafe memory
  }

  mutating func subtract(_ memory: UnsafeMutableRawPointer?) {
    if let memory = unsafe memory { used -= unsafe malloc_usable_size(memory) }
  }
}

/// An owned nghttp2 server session.
@safe struct Session: ~Copyable {
  private let handle: OpaquePointer
  private let account: UnsafeMutablePointer<MemoryAccount>

  /// Nil where there is no memory. Our SETTINGS are queued.
  init?(_ limits: HTTP2Limits) {
    let account = UnsafeMutablePointer<MemoryAccount>.allocate(capacity: 1)
    unsafe account.initialize(to: MemoryAccount(limit: limits.engineBytes))
    guard let handle = unsafe Self.open(limits, account) else {
      unsafe account.deallocate()
      return nil
    }
    unsafe self.handle = handle
    unsafe self.account = unsafe account
  }

  deinit {
    unsafe nghttp2_session_del(handle)
    unsafe account.deallocate()
  }

  /// Names the connection that is told; it owns this session, so it outlives it.
  func attach(_ connection: HTTP2Connection) {
    unsafe nghttp2_session_set_user_data(handle, Unmanaged.passUnretained(connection).toOpaque())
  }

  var allocatedBytes: Int { unsafe account.pointee.used }

  /// Whether neither side has anything more to say.
  var isOver: Bool {
    unsafe nghttp2_session_want_read(handle) == 0 && nghttp2_session_want_write(handle) == 0
  }

  /// Whether the stream has not been closed or reset.
  func isOpen(_ stream: Int32) -> Bool { unsafe nghttp2_session_get_stream_remote_close(handle, stream) >= 0 }

  /// Whether all of our reply has left.
  func isAnswered(_ stream: Int32) -> Bool { unsafe nghttp2_session_get_stream_local_close(handle, stream) == 1 }

  /// Works on bytes of the client; nil is good. The bytes are only read, within the call.
  func receive(_ bytes: Span<UInt8>) -> HTTP2Failure? {
    let result = unsafe bytes.withUnsafeBufferPointer {
      unsafe nghttp2_session_mem_recv(handle, $0.baseAddress, $0.count)
    }
    return result >= 0 ? nil : Self.failure(Int32(result))
  }

  /// Moves all that may be sent to `wire`.
  func flush(into wire: inout [UInt8]) -> HTTP2Failure? {
    while true {
      var start: UnsafePointer<UInt8>?
      let count = unsafe nghttp2_session_mem_send(handle, &start)
      guard count > 0 else { return count == 0 ? nil : Self.failure(Int32(count)) }
      // nghttp2 owns `count` bytes at `start` until its next call; they are copied first.
      unsafe wire.append(contentsOf: UnsafeBufferPointer(start: start, count: count))
    }
  }

  /// Queues a reply and moves it to `wire`, so that the names and values, which nghttp2 does not copy, are used within this
  /// call only: HEADERS wait for no window.
  func respond(
    _ stream: Int32, _ status: UInt16, _ lines: Span<UInt8>, hasBody: Bool, _ reply: ReplyFields,
    into wire: inout [UInt8]
  ) -> HTTP2Failure? {
    var provider = unsafe cnghttp2_data_provider { _, stream, buffer, capacity, flags, _, user in
      let room = unsafe UnsafeMutableRawBufferPointer(start: buffer, count: capacity)
      return unsafe connection(user) { told in
        let (count, isLast) = unsafe told.readBody(stream, into: room)
        if isLast { unsafe flags!.pointee |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue) }
        return count
      }
    }
    return unsafe reply.withFields(status, lines) { fields, count in
      let result = unsafe withUnsafePointer(to: &provider) {
        unsafe nghttp2_submit_response(handle, stream, fields, count, hasBody ? $0 : nil)
      }
      guard result == 0 else { return Self.failure(result) }
      return flush(into: &wire)
    }
  }

  func reset(_ stream: Int32, _ code: ErrorCode) {
    _ = unsafe nghttp2_submit_rst_stream(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
  }

  /// A GOAWAY, behind which nothing is read or sent. It must fit where memory was what ran out.
  func terminate(_ code: ErrorCode) {
    unsafe account.pointee.limit += 1024
    _ = unsafe nghttp2_session_terminate_session(handle, code.rawValue)
  }

  /// A GOAWAY with 2^31-1.
  func announceShutdown() { _ = unsafe nghttp2_submit_shutdown_notice(handle) }

  /// A GOAWAY with the last stream that was looked at; open streams go on.
  func shutDown() {
    let last = unsafe nghttp2_session_get_last_proc_stream_id(handle)
    _ = unsafe nghttp2_submit_goaway(
      handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, ErrorCode.noError.rawValue, nil, 0)
  }

  private static func failure(_ code: Int32) -> HTTP2Failure {
    switch code {
    case NGHTTP2_ERR_NOMEM.rawValue: .memory
    case NGHTTP2_ERR_FLOODED.rawValue, NGHTTP2_ERR_TOO_MANY_SETTINGS.rawValue,
      NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue:
      .flood
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: .badPreface
    default: .protocolViolation
    }
  }

  // MARK: - Opening

  private static func open(_ limits: HTTP2Limits, _ account: UnsafeMutablePointer<MemoryAccount>) -> OpaquePointer? {
    var option: OpaquePointer?
    var callbacks: OpaquePointer?
    guard unsafe nghttp2_option_new(&option) == 0 else { return nil }
    defer { unsafe nghttp2_option_del(option) }
    guard unsafe nghttp2_session_callbacks_new(&callbacks) == 0 else { return nil }
    defer { unsafe nghttp2_session_callbacks_del(callbacks) }
    unsafe set(option!, limits)
    unsafe set(callbacks!)
    var memory = unsafe hooks(account)
    var session: OpaquePointer?
    guard unsafe nghttp2_session_server_new3(&session, callbacks, nil, option, &memory) == 0 else { return nil }
    let settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue), value: limits.streams),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: UInt32(limits.head.maxHeadBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    let result = unsafe nghttp2_submit_settings(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    guard result == 0 else {
      unsafe nghttp2_session_del(session)
      return nil
    }
    return unsafe session
  }

  private static func set(_ option: OpaquePointer, _ limits: HTTP2Limits) {
    unsafe nghttp2_option_set_no_http_messaging(option, 1)
    // A window is given back for the connection (nobody reads bodies), never for a stream: that bounds its body.
    unsafe nghttp2_option_set_no_auto_window_update(option, 1)
    unsafe nghttp2_option_set_no_closed_streams(option, 1)
    unsafe nghttp2_option_set_max_settings(option, limits.settingsEntries)
    unsafe nghttp2_option_set_max_outbound_ack(option, limits.unsentAcknowledgements)
    unsafe nghttp2_option_set_max_continuations(option, limits.continuations)
    // Ours counts by the time that it is given, and spares streams that are answered.
    unsafe nghttp2_option_set_stream_reset_rate_limit(option, UInt64(UInt32.max), UInt64(UInt32.max))
  }

  private static func hooks(_ account: UnsafeMutablePointer<MemoryAccount>) -> nghttp2_mem {
    unsafe nghttp2_mem(
      mem_user_data: account,
      malloc: { count, user in
        let account = unsafe user!.assumingMemoryBound(to: MemoryAccount.self)
        return unsafe account.pointee.admits(count) ? account.pointee.add(Glibc.malloc(count)) : nil
      },
      free: { memory, user in
        unsafe user!.assumingMemoryBound(to: MemoryAccount.self).pointee.subtract(memory)
        unsafe Glibc.free(memory)
      },
      calloc: { elements, size, user in
        let account = unsafe user!.assumingMemoryBound(to: MemoryAccount.self)
        let (count, isTooLarge) = elements.multipliedReportingOverflow(by: size)
        guard unsafe !isTooLarge && account.pointee.admits(count) else { return nil }
        return unsafe account.pointee.add(Glibc.calloc(elements, size))
      },
      realloc: { memory, count, user in
        let account = unsafe user!.assumingMemoryBound(to: MemoryAccount.self)
        unsafe account.pointee.subtract(memory)
        guard unsafe account.pointee.admits(count), let moved = unsafe Glibc.realloc(memory, count) else {
          // The old memory stays as it is.
          _ = unsafe account.pointee.add(memory)
          return nil
        }
        return unsafe account.pointee.add(moved)
      })
  }

  private static func set(_ callbacks: OpaquePointer) {
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, user in
      let isTrailer = unsafe frame!.pointee.headers.cat != NGHTTP2_HCAT_REQUEST
      return unsafe connection(user) { $0.sectionBegan(isTrailer: isTrailer) } ? 0 : callbackFailure
    }
    unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, _, name, nameCount, value, valueCount, _, user in
      // nghttp2 owns both until the callback returns.
      let name = unsafe UnsafeBufferPointer(start: name, count: nameCount)
      let value = unsafe UnsafeBufferPointer(start: value, count: valueCount)
      return unsafe connection(user) { unsafe $0.fieldDecoded(name: name.span, value: value.span) }
        ? 0 : callbackFailure
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, user in
      let header = unsafe frame!.pointee.hd
      let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
      let goesOn = unsafe connection(user) { told in
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue: return told.headersReceived(header.stream_id, endsStream: endsStream)
        case NGHTTP2_RST_STREAM.rawValue: return told.resetReceived(header.stream_id)
        case NGHTTP2_DATA.rawValue where endsStream: told.bodyEnded(header.stream_id)
        default: break
        }
        return true
      }
      return goesOn ? 0 : callbackFailure
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { session, _, stream, _, count, user in
      unsafe connection(user) { $0.dataReceived(stream, count) }
      return unsafe nghttp2_session_consume_connection(session, count)
    }
    unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, user in
      let header = unsafe frame!.pointee.hd
      unsafe connection(user) { told in
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
          let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
          told.frameSent(header.stream_id, endsStream: endsStream)
        case NGHTTP2_RST_STREAM.rawValue: unsafe told.resetSent(frame!.pointee.rst_stream.error_code)
        case NGHTTP2_GOAWAY.rawValue: unsafe told.goAwaySent(frame!.pointee.goaway.error_code)
        default: break
        }
      }
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, _, user in
      unsafe connection(user) { $0.streamClosed(stream) }
      return 0
    }
  }
}

/// The connection that a callback is for: a free function, because a C callback captures nothing.
private func connection<Result>(_ user: UnsafeMutableRawPointer?, _ body: (HTTP2Connection) -> Result) -> Result {
  unsafe Unmanaged<HTTP2Connection>.fromOpaque(user!)._withUnsafeGuaranteedRef(body)
}

private var callbackFailure: Int32 { NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }

/// The fields of a reply as nghttp2 takes them. One a loop; after the first few replies it does not allocate.
@safe final class ReplyFields {
  private var text: [UInt8] = []
  private var places: [nghttp2_nv] = unsafe []

  init() {
    text.reserveCapacity(2048)
    unsafe places.reserveCapacity(32)
  }

  /// Hands the fields over, `:status` first, for as long as `body` runs.
  ///
  /// - Parameter lines: complete field lines, each with CRLF; names are given in lower case (RFC 9113, section 8.2.1).
  func withFields<Result>(
    _ status: UInt16, _ lines: Span<UInt8>, _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Result
  ) -> Result {
    text.removeAll(keepingCapacity: true)
    unsafe places.removeAll(keepingCapacity: true)
    for divisor: UInt16 in [100, 10, 1] { text.append(UInt8(ascii: "0") + UInt8(status / divisor % 10)) }
    unsafe lines.withUnsafeBufferPointer { unsafe text.append(contentsOf: $0) }
    // `text` is neither moved nor changed until `body` has returned, and the literal lives for ever.
    return unsafe text.withUnsafeMutableBufferPointer { text in
      let base = text.baseAddress!
      let name: StaticString = ":status"
      unsafe add(UnsafeMutablePointer(mutating: name.utf8Start), name.utf8CodeUnitCount, base, 3)
      var i = 3
      while i < text.count {
        let start = i
        while i < text.count, unsafe text[i] != UInt8(ascii: ":") {
          if unsafe text[i] &- 0x41 < 26 { unsafe text[i] |= 0x20 }
          i += 1
        }
        let nameEnd = i
        i += 1
        while i < text.count, unsafe text[i] == UInt8(ascii: " ") { i += 1 }
        let value = i
        while i < text.count, unsafe text[i] != 13 { i += 1 }
        unsafe add(base + start, nameEnd - start, base + min(value, i), max(i - value, 0))
        i += 2
      }
      return unsafe places.withUnsafeBufferPointer { unsafe body($0.baseAddress, $0.count) }
    }
  }

  private func add(
    _ name: UnsafeMutablePointer<UInt8>, _ nameLength: Int, _ value: UnsafeMutablePointer<UInt8>, _ valueLength: Int
  ) {
    let flags = NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue
    unsafe places.append(
      nghttp2_nv(
        name: name, value: value, namelen: nameLength, valuelen: valueLength, flags: UInt8(truncatingIfNeeded: flags)))
  }
}
