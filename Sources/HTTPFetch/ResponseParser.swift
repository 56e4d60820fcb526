// Reads one HTTP/1.1 response from bytes as they come (RFC 9112): status, the few header fields that a fetch needs, a
// body by length, chunks or end of stream. Bounded, pure, no sockets.

import EventLoops
import POSIX

/// What a server answered to a fetch.
public struct FetchResponse: Equatable, Sendable {
  /// 200 to 599.
  public var status: Int
  /// The body, with any chunking taken off.
  public var body: [UInt8]
  /// `Retry-After` in seconds, where it is a number (RFC 9110 section 10.2.3; dates are not read).
  public var retryAfter: Int?
}

/// Why a fetch brought nothing.
public enum FetchFailure: Error, Equatable, Sendable, CustomStringConvertible {
  /// The host name has no address; the resolver's own words.
  case resolve(String)
  /// No address answered; the last error.
  case connect(String)
  /// The handshake failed, or the certificate is not this host's.
  case tls(String)
  /// Not done within the deadline; in which state.
  case timeout(String)
  /// The connection ended before the response did.
  case truncated
  /// Head or body is larger than allowed.
  case tooLarge
  /// Not the HTTP that we accept; what is wrong.
  case badResponse(String)

  public var description: String {
    switch self {
    case .resolve(let words): "can't resolve the host: \(words)"
    case .connect(let words): "can't connect: \(words)"
    case .tls(let words): "TLS failed: \(words)"
    case .timeout(let state): "timed out while \(state)"
    case .truncated: "the connection ended before the response did"
    case .tooLarge: "the response is larger than allowed"
    case .badResponse(let what): "the response is not valid HTTP: \(what)"
    }
  }

  /// One word, for metrics.
  public var kind: StaticString {
    switch self {
    case .resolve: "resolve"
    case .connect: "connect"
    case .tls: "tls"
    case .timeout: "timeout"
    case .truncated: "truncated"
    case .tooLarge: "too_large"
    case .badResponse: "bad_response"
    }
  }
}

/// Bytes in, one response or one failure out.
struct ResponseParser {
  private enum Place {
    case head
    case counted(left: Int)
    case untilEnd
    case chunkSize
    case chunk(left: Int)
    case chunkEnd
    case trailers
    case done
  }

  /// What may come beside a body, altogether: heads, sizes and ends of chunks, trailers. Without a bound an endless
  /// answer of these keeps the loop busy until the deadline.
  static let maxBesideBody = 64 * 1024

  private let maxHead = 16 * 1024
  private let maxBody: Int
  private var place = Place.head
  private var received = 0
  private var pending: [UInt8] = []
  /// How much of `pending` is taken.
  private var taken = 0
  /// Up to where in `pending` the line that is looked for does not end.
  private var searched = 0
  private var response = FetchResponse(status: 0, body: [], retryAfter: nil)

  /// - Parameter maxBody: bytes of body after which the response is refused.
  init(maxBody: Int) { self.maxBody = maxBody }

  /// Takes the next bytes. Returns the response when it is whole.
  mutating func receive(_ bytes: some Collection<UInt8>) throws(FetchFailure) -> FetchResponse? {
    received += bytes.count
    pending.removeFirst(taken)
    (taken, searched) = (0, searched - taken)
    pending += bytes
    let response = try advance()
    // Here, because an answer that is too large in one place says so better.
    guard received <= maxBody + Self.maxBesideBody else { throw .tooLarge }
    return response
  }

  private mutating func advance() throws(FetchFailure) -> FetchResponse? {
    while true {
      switch place {
      case .head:
        guard let head = try line(through: [13, 10, 13, 10], limit: maxHead) else { return nil }
        try readHead(head)
      case .counted(let left):
        let taken = try takeBody(atMost: left)
        place = taken == left ? .done : .counted(left: left - taken)
        if taken < left { return nil }
      case .untilEnd:
        _ = try takeBody(atMost: .max)
        return nil
      case .chunkSize:
        guard let size = try line(through: [13, 10], limit: 1024) else { return nil }
        let count = try chunkSize(size)
        place = count == 0 ? .trailers : .chunk(left: count)
      case .chunk(let left):
        let taken = try takeBody(atMost: left)
        place = taken == left ? .chunkEnd : .chunk(left: left - taken)
        if taken < left { return nil }
      case .chunkEnd:
        guard let end = try line(through: [13, 10], limit: 2) else { return nil }
        guard end.isEmpty else { throw .badResponse("a chunk does not end with its size") }
        place = .chunkSize
      case .trailers:
        guard let trailer = try line(through: [13, 10], limit: maxHead) else { return nil }
        if trailer.isEmpty { place = .done }
      case .done:
        return response
      }
    }
  }

  /// The stream has ended, cleanly. Only a body without a length may end so.
  mutating func end() throws(FetchFailure) -> FetchResponse {
    guard case .untilEnd = place else { throw .truncated }
    return response
  }

  // MARK: - Parts

  private mutating func line(through end: [UInt8], limit: Int) throws(FetchFailure) -> [UInt8]? {
    // From where the last search ended: a line in many pieces is looked through once.
    while searched + end.count <= pending.count {
      if isEnd(end, at: searched) {
        let line = Array(pending[taken..<searched])
        taken = searched + end.count
        searched = taken
        return line
      }
      searched += 1
      if searched - taken > limit { throw .tooLarge }
    }
    return nil
  }

  private func isEnd(_ end: [UInt8], at start: Int) -> Bool {
    for offset in end.indices where pending[start + offset] != end[offset] { return false }
    return true
  }

  private mutating func takeBody(atMost limit: Int) throws(FetchFailure) -> Int {
    let count = min(limit, pending.count - taken)
    guard response.body.count + count <= maxBody else { throw .tooLarge }
    response.body += pending[taken..<taken + count]
    taken += count
    searched = taken
    return count
  }

  private mutating func readHead(_ head: [UInt8]) throws(FetchFailure) {
    var lines = split(head)
    let status = lines.removeFirst()
    // HTTP/1.x SP 3 digits, then SP and a phrase or nothing.
    guard status.count >= 12, status[..<7].elementsEqual("HTTP/1.".utf8), status[8] == 0x20,
      let code = number(status[9..<12], radix: 10), (100...599).contains(code),
      status.count == 12 || status[12] == 0x20
    else { throw .badResponse("status line") }
    // Interim responses come before the real one (RFC 9110 section 15.2).
    if code < 200 { return }
    response.status = code

    var length: Int?
    var isChunked = false
    for line in lines {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
        throw .badResponse("header line")
      }
      let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
      let value = trim(line[(colon + 1)...])
      switch name {
      case "content-length":
        guard length == nil, let count = number(value, radix: 10) else { throw .badResponse("Content-Length") }
        length = count
      case "transfer-encoding":
        guard !isChunked, lowercased(value) == "chunked" else { throw .badResponse("Transfer-Encoding") }
        isChunked = true
      case "content-encoding":
        guard lowercased(value) == "identity" else { throw .badResponse("Content-Encoding, which was not asked for") }
      case "retry-after":
        response.retryAfter = number(value, radix: 10)
      default: break
      }
    }
    if isChunked {
      guard length == nil else { throw .badResponse("both Content-Length and Transfer-Encoding") }
      place = .chunkSize
    } else if let length {
      guard length <= maxBody else { throw .tooLarge }
      place = .counted(left: length)
    } else if code == 204 || code == 304 {
      place = .done
    } else {
      place = .untilEnd
    }
  }

  private func chunkSize(_ line: [UInt8]) throws(FetchFailure) -> Int {
    let digits = line.prefix { $0 != UInt8(ascii: ";") }
    guard let size = number(trim(digits), radix: 16) else { throw .badResponse("chunk size") }
    guard size <= maxBody else { throw .tooLarge }
    return size
  }

  /// A number of 1 to 9 digits and nothing else.
  private func number(_ text: ArraySlice<UInt8>, radix: Int) -> Int? {
    guard (1...9).contains(text.count) else { return nil }
    var value = 0
    for byte in text {
      let digit: Int
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = Int(byte) - 48
      case UInt8(ascii: "a")...UInt8(ascii: "f") where radix == 16: digit = Int(byte) - 87
      case UInt8(ascii: "A")...UInt8(ascii: "F") where radix == 16: digit = Int(byte) - 55
      default: return nil
      }
      value = value * radix + digit
    }
    return value
  }

  private func lowercased(_ text: ArraySlice<UInt8>) -> String { String(decoding: text, as: UTF8.self).lowercased() }

  private func trim(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let byte = text.first, byte == 0x20 || byte == 9 { text.removeFirst() }
    while let byte = text.last, byte == 0x20 || byte == 9 { text.removeLast() }
    return text
  }

  private func split(_ head: [UInt8]) -> [ArraySlice<UInt8>] {
    var lines: [ArraySlice<UInt8>] = []
    var start = 0
    var at = 0
    while at + 1 < head.count {
      if head[at] == 13, head[at + 1] == 10 {
        lines.append(head[start..<at])
        start = at + 2
        at += 1
      }
      at += 1
    }
    lines.append(head[start...])
    return lines
  }
}
