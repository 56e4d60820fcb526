// A reply, as a handler writes it, and its bytes on the wire. Reused for each request: after the first few it does not
// allocate.

import EventLoops
import Glibc
import POSIX

/// What a handler answers. The server adds the status line, `Date`, `Content-Length`, `Connection` and the end.
public struct Reply: ~Copyable {
  /// 200 to 599.
  public var status: UInt16 = 500
  /// Complete field lines, each with its CRLF.
  public private(set) var fieldLines: [UInt8] = []
  public private(set) var body: [UInt8] = []

  public init() {
    fieldLines.reserveCapacity(1024)
    body.reserveCapacity(256)
  }

  /// Starts a new reply: no field lines, no body. The status is 500 until a handler decides: nothing allows by
  /// falling through.
  public mutating func reset() {
    status = 500
    fieldLines.removeAll(keepingCapacity: true)
    body.removeAll(keepingCapacity: true)
  }

  /// - Parameter lines: complete field lines, each with CRLF at its end. The caller has made sure of their bytes.
  public mutating func append(fieldLines lines: Span<UInt8>) { fieldLines.append(copying: lines) }

  /// - Parameter lines: as above.
  public mutating func append(fieldLines lines: [UInt8]) { fieldLines.append(contentsOf: lines) }

  public mutating func append(body bytes: [UInt8]) { body.append(contentsOf: bytes) }
}

extension Array where Element == UInt8 {
  /// Appends the bytes of a span. No allocation while the capacity lasts.
  mutating func append(copying bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
  }

  /// Appends CR and LF.
  fileprivate mutating func appendLineEnd() {
    append(13)
    append(10)
  }

  /// Appends the decimal digits of a number that is not negative.
  mutating func append(decimal number: Int) {
    if number >= 10 { append(decimal: number / 10) }
    append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number % 10))
  }
}

/// Status lines by code, and the `Date` line of the current second (RFC 9110 section 6.6.1). One a loop.
struct WireFormat {
  private var dateSecond = -1
  private var dateLine: [UInt8] = []
  /// All that a 200 without a body says before the handler's field lines: the status line, `Date`, `Content-Length`.
  private var emptyOK: [UInt8] = []
  private let contentLength = Array("Content-Length: ".utf8)
  private let close = Array("Connection: close\r\n".utf8)
  private let keepAlive = Array("Connection: keep-alive\r\n".utf8)

  /// The reason phrase of a status line (RFC 9110 section 15, RFC 6585 section 5): those of all replies of this program.
  static func reason(_ status: UInt16) -> StaticString {
    switch status {
    case 200: "OK"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 408: "Request Timeout"
    case 414: "URI Too Long"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 503: "Service Unavailable"
    case 505: "HTTP Version Not Supported"
    default: "Unknown"
    }
  }

  /// What the reply says of the connection.
  enum Persistence { case implied, keepAlive, close }

  /// Appends a whole reply to `wire`.
  mutating func append(_ reply: borrowing Reply, _ persistence: Persistence, withBody: Bool, to wire: inout [UInt8]) {
    readClock()
    if reply.status == 200, reply.body.isEmpty {
      wire.append(copying: emptyOK.span)
    } else {
      Self.appendStatusLine(reply.status, to: &wire)
      wire.append(copying: dateLine.span)
      appendContentLength(reply.body.count, to: &wire)
    }
    switch persistence {
    case .implied: break
    case .keepAlive: wire.append(copying: keepAlive.span)
    case .close: wire.append(copying: close.span)
    }
    wire.append(copying: reply.fieldLines.span)
    wire.appendLineEnd()
    if withBody { wire.append(copying: reply.body.span) }
  }

  /// Puts the field lines alone on `wire`, for whoever writes the rest.
  mutating func writeFieldLines(of reply: borrowing Reply, isOldKeepAlive: Bool, to wire: inout [UInt8]) {
    readClock()
    wire.removeAll(keepingCapacity: true)
    wire.append(copying: dateLine.span)
    appendContentLength(reply.body.count, to: &wire)
    if isOldKeepAlive { wire.append(copying: keepAlive.span) }
    wire.append(copying: reply.fieldLines.span)
  }

  private static func appendStatusLine(_ status: UInt16, to wire: inout [UInt8]) {
    wire.append(contentsOf: "HTTP/1.1 ".utf8)
    wire.append(decimal: Int(status))
    wire.append(UInt8(ascii: " "))
    reason(status).withUTF8Buffer { unsafe wire.append(contentsOf: $0) }
    wire.appendLineEnd()
  }

  private func appendContentLength(_ count: Int, to wire: inout [UInt8]) {
    wire.append(copying: contentLength.span)
    wire.append(decimal: count)
    wire.appendLineEnd()
  }

  /// Once a second, what hangs on the time is written anew.
  private mutating func readClock() {
    let second = Clock.read(CLOCK_REALTIME_COARSE).tv_sec
    guard second != dateSecond else { return }
    dateSecond = second
    format(second)
    emptyOK.removeAll(keepingCapacity: true)
    Self.appendStatusLine(200, to: &emptyOK)
    emptyOK.append(contentsOf: dateLine)
    appendContentLength(0, to: &emptyOK)
  }

  private mutating func format(_ second: Int) {
    var time = second
    var parts = unsafe tm()
    unsafe gmtime_r(&time, &parts)
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let day =
      unsafe "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year)"
    let clock = unsafe "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
    dateLine.removeAll(keepingCapacity: true)
    dateLine.append(contentsOf: "Date: \(day) \(clock) GMT\r\n".utf8)
  }
}
