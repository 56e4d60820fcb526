// Why a connection's input is not HTTP that we accept: one flat list, and what each reason says to the outside.
// No logic lives here. Each refusal closes the connection, so that nothing behind it is ever read as a request.

/// The reason that a request is refused before it is a question. After the reply the connection closes, always.
public enum Refusal: UInt8, CaseIterable, Equatable, Sendable {
  /// 400: no method, target and version with one space between, or no CRLF behind them (RFC 9112, section 3).
  case badRequestLine
  /// 400: a target that is no origin-form (nor `*` with OPTIONS), starts with `//` or holds a byte outside `!` to `~`
  /// or a `#` (RFC 9112, section 3.2).
  case badTarget
  /// 400: a header line that is no token, colon, value, CRLF; folded; or holds a control byte (RFC 9112, section 5).
  case badFieldLine
  /// 400: no Host, two, or one that is no `uri-host [":" port]` (RFC 9112, section 3.2).
  case badHost
  /// 400: Content-Length or Transfer-Encoding that could be read in two ways (RFC 9112, section 6).
  case badFraming
  /// 400: an expectation other than `100-continue` (RFC 9110, section 10.1.1).
  case badExpect
  /// 408: the head did not arrive within its deadline. Given by the server, never by the parser.
  case headTimeout
  /// 414: the head has reached `HeadLimits.maxHeadBytes` within its target.
  case targetTooLong
  /// 431: the head is longer than `HeadLimits.maxHeadBytes`.
  case headTooLarge
  /// 431: more header lines than `HeadLimits.maxFieldLines`.
  case tooManyFieldLines
  /// 501: CONNECT or TRACE.
  case methodNotImplemented
  /// 501: one transfer coding that is registered and that we don't have, such as `gzip` (RFC 9112, section 6.1).
  case codingNotImplemented
  /// 503: the connection cap is reached. Given by the server, never by the parser.
  case tooManyConnections
  /// 503: half-received heads take more memory than all together may. Given by the server, never by the parser.
  case tooManyPartialHeads
  /// 505: `HTTP/d.d` other than 1.0 and 1.1, the HTTP/2 preface among them.
  case versionNotSupported

  /// The status code of the reply.
  public var status: Int {
    switch self {
    case .badRequestLine, .badTarget, .badFieldLine, .badHost, .badFraming, .badExpect: 400
    case .headTimeout: 408
    case .targetTooLong: 414
    case .headTooLarge, .tooManyFieldLines: 431
    case .methodNotImplemented, .codingNotImplemented: 501
    case .tooManyConnections, .tooManyPartialHeads: 503
    case .versionNotSupported: 505
    }
  }

  /// The reply's body: one line of ASCII, no line end. It holds nothing that the client sent.
  public var body: StaticString {
    switch self {
    case .badRequestLine: "Request line is invalid."
    case .badTarget: "Request target is invalid."
    case .badFieldLine: "A header line is invalid."
    case .badHost: "Host header is missing, repeated or invalid."
    case .badFraming: "Content-Length or Transfer-Encoding is invalid."
    case .badExpect: "Expectation is not supported."
    case .headTimeout: "Request head took too long."
    case .targetTooLong: "Request target is too long."
    case .headTooLarge: "Request head is too large."
    case .tooManyFieldLines: "Request has too many header lines."
    case .methodNotImplemented: "Method is not implemented."
    case .codingNotImplemented: "Transfer coding is not implemented."
    case .tooManyConnections: "Too many connections."
    case .tooManyPartialHeads: "Too many requests are half received."
    case .versionNotSupported: "HTTP version is not supported."
    }
  }

  /// A stable name for logs and metric labels: `a-z` and `_`.
  public var name: StaticString {
    switch self {
    case .badRequestLine: "bad_request_line"
    case .badTarget: "bad_target"
    case .badFieldLine: "bad_field_line"
    case .badHost: "bad_host"
    case .badFraming: "bad_framing"
    case .badExpect: "bad_expect"
    case .headTimeout: "head_timeout"
    case .targetTooLong: "target_too_long"
    case .headTooLarge: "head_too_large"
    case .tooManyFieldLines: "too_many_field_lines"
    case .methodNotImplemented: "method_not_implemented"
    case .codingNotImplemented: "coding_not_implemented"
    case .tooManyConnections: "too_many_connections"
    case .tooManyPartialHeads: "too_many_partial_heads"
    case .versionNotSupported: "version_not_supported"
    }
  }
}
