// The messages of grpc.health.v1.Health (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). Whether we are
// well is the caller's to know.

/// Whose health is asked for.
public enum HealthService: Equatable, Sendable {
  /// The empty name: the server as a whole.
  case server
  /// `envoy.service.auth.v3.Authorization`.
  case authorization
  /// A name that is not ours: `Check` ends with `GRPCStatus.notFound`, `Watch` answers `HealthStatus.serviceUnknown` and
  /// goes on.
  case unknown

  private static let authorizationName = Array("envoy.service.auth.v3.Authorization".utf8)

  /// Reads a `HealthCheckRequest`, without its gRPC prefix; a message of no bytes asks for the server.
  public init(reading message: Span<UInt8>) throws(MessageFault) {
    guard message.count <= GRPCFrame.maximumMessageBytes else { throw .tooLarge }
    var cursor = ProtobufCursor(0..<message.count)
    var service: Range<Int>?
    while let field = try cursor.next(message) {
      if field.number == 1 { service = try field.onlyBytes(after: service) }
    }
    guard let service, !service.isEmpty else {
      self = .server
      return
    }
    self = equal(message.extracting(service), Self.authorizationName) ? .authorization : .unknown
  }
}

/// `HealthCheckResponse.ServingStatus`, without the one that says nothing (0).
public enum HealthStatus: UInt8, CaseIterable, Equatable, Sendable {
  case serving = 1
  case notServing = 2
  /// For `Watch` alone.
  case serviceUnknown = 3

  /// Bytes of a response with gRPC's prefix.
  public static var responseBytes: Int { 7 }

  /// Writes a `HealthCheckResponse` with gRPC's prefix to the start of `out`, which has at least `responseBytes`.
  public func write(into out: inout MutableSpan<UInt8>) {
    var writer = ProtobufWriter()
    writer.prefix(messageBytes: 2, &out)
    writer.number(1, UInt64(rawValue), &out)
  }
}
