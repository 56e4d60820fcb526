// What is known of the original request: fields as they came, and what they say once they are normalised. Pure. Which
// header lines they were is the caller's to know.

/// One field of a request: missing, there twice, or its bytes.
public struct RequestFact: Sendable, Equatable, BitwiseCopyable {
  private let start: UInt32
  private let end: UInt32
  /// Whether the field came more than once; then nobody can say which of them the application will believe.
  public let isDoubled: Bool

  public static let missing = RequestFact(start: 1, end: 0, isDoubled: false)
  public static let doubled = RequestFact(start: 1, end: 0, isDoubled: true)

  private init(start: UInt32, end: UInt32, isDoubled: Bool) {
    self.start = start
    self.end = end
    self.isDoubled = isDoubled
  }

  /// The field's value, as a range of the request's bytes; below 4 GiB.
  public init(_ range: Range<Int>) {
    self.init(start: UInt32(range.lowerBound), end: UInt32(range.upperBound), isDoubled: false)
  }

  /// The value, nil where the field is missing or doubled.
  public var range: Range<Int>? { start <= end ? Int(start)..<Int(end) : nil }
}

/// The fields of one family (``MetadataFamily``) as a request brought them. Ranges are those of one run of bytes that is
/// passed beside.
public struct RequestFacts: Sendable, BitwiseCopyable {
  public var method = RequestFact.missing
  public var host = RequestFact.missing
  /// The request target of the original request, with its query.
  public var target = RequestFact.missing
  /// `X-Forwarded-For`, in both families.
  public var forwardedFor = RequestFact.missing
  /// Whether `Cf-Connecting-Ip` or `Cf-Ray` is there.
  public var cameThroughCloudflare = false
  /// Whether `Origin` and `Access-Control-Request-Method` are there.
  public var hasPreflightFields = false

  public init() {}
}

/// What a request's fields say, normalised once for all policies. A plain value, good as long as the same bytes are
/// passed beside it.
public struct OriginalRequest: Sendable, BitwiseCopyable {
  /// The client's address as far as it is known.
  public enum Client: Sendable, Equatable, BitwiseCopyable {
    case missing
    /// Through a tunnel every visitor has the tunnel's address: it matches nothing.
    case throughCloudflare
    case address(IPAddress)
  }

  public let method: RequestFact
  /// Without port and trailing dot.
  public let host: RequestFact
  public let path: RequestPath
  public let client: Client
  /// OPTIONS with both fields of a preflight.
  public let isPreflight: Bool

  /// Normalises the fields. Allocates nothing.
  ///
  /// - Parameter trusted: proxies whose entry in `X-Forwarded-For` is passed over.
  public init(_ facts: RequestFacts, in source: Span<UInt8>, trusted: [Network]) {
    if let range = facts.method.range, range.isEmpty { method = .missing } else { method = facts.method }
    if let range = facts.host.range {
      host = HostName.normalized(source, range).map { RequestFact($0) } ?? .missing
    } else {
      host = facts.host
    }
    path = facts.target.range.map { RequestPath(source, $0) } ?? .missing
    client =
      if facts.cameThroughCloudflare {
        .throughCloudflare
      } else if let range = facts.forwardedFor.range, let address = Self.client(source, range, trusted) {
        .address(address)
      } else {
        .missing
      }
    isPreflight = facts.hasPreflightFields && method.range.map { equals(source, $0, "OPTIONS") } ?? false
  }

  /// The last address of a list that is none of the trusted ones; nil when there is none, and when it is no plain
  /// address. What stands before it is what the client wrote.
  private static func client(_ source: Span<UInt8>, _ list: Range<Int>, _ trusted: [Network]) -> IPAddress? {
    var end = list.upperBound
    while true {
      var start = end
      while start > list.lowerBound, source[start - 1] != UInt8(ascii: ",") { start -= 1 }
      guard let address = IPAddress(source, (start..<end).trimmed(in: source)) else { return nil }
      var isTrusted = false
      for network in trusted where network.contains(address) {
        isTrusted = true
        break
      }
      if !isTrusted { return address }
      guard start > list.lowerBound else { return nil }
      end = start - 1
    }
  }
}
