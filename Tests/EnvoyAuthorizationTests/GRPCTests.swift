// gRPC's framing, its words, and the messages of its health service.

import EnvoyAuthorization
import Testing

@Suite struct GRPCTests {
  static let bodies: [(body: [UInt8], hasEnded: Bool, expected: GRPCFrame)] = [
    ([], false, .incomplete), ([], true, .refused(.truncated)), ([0], false, .incomplete),
    ([0, 0, 0, 0], true, .refused(.truncated)), ([0, 0, 0, 0, 0], true, .message(5..<5)),
    ([0, 0, 0, 0, 0], false, .incomplete), ([0, 0, 0, 0, 1, 9], true, .message(5..<6)),
    ([0, 0, 0, 0, 2, 9], true, .refused(.truncated)), ([0, 0, 0, 0, 2, 9], false, .incomplete),
    ([0, 0, 0, 0, 1, 9, 0], false, .refused(.severalMessages)),
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], true, .refused(.severalMessages)), ([1], false, .refused(.compressed)),
    ([1, 0, 0, 0, 1, 9], true, .refused(.compressed)), ([2], false, .refused(.badFlag)),
    ([255, 0, 0, 0, 0], true, .refused(.badFlag)), ([0, 0, 1, 0, 0], false, .incomplete),
    ([0, 0, 1, 0, 1], false, .refused(.tooLarge)), ([0, 255, 255, 255, 255], false, .refused(.tooLarge)),
  ]

  @Test(arguments: bodies)
  func `a body is one message, told when it has ended`(body: [UInt8], hasEnded: Bool, expected: GRPCFrame) {
    #expect(GRPCFrame.read(body.span, hasEnded: hasEnded) == expected)
  }

  @Test func `a message of 64 KiB is taken`() {
    let body = [0, 0, 1, 0, 0] + [UInt8](repeating: 0, count: 65_536)
    #expect(GRPCFrame.read(body.span, hasEnded: true) == .message(5..<65_541))
  }

  @Test func `each refusal has the status that gRPC gives it, and none is OK`() {
    #expect(GRPCRefusal.compressed.status == .unimplemented)
    #expect(GRPCRefusal.tooLarge.status == .resourceExhausted)
    #expect(GRPCRefusal.truncated.status == .internal)
    #expect(GRPCRefusal.allCases.allSatisfy { $0.status != .ok })
  }

  @Test(
    arguments: [
      ("/envoy.service.auth.v3.Authorization/Check", .authorizationCheck),
      ("/grpc.health.v1.Health/Check", .healthCheck),
      ("/grpc.health.v1.Health/Watch", .healthWatch), ("/envoy.service.auth.v2.Authorization/Check", nil), ("", nil),
      ("/grpc.health.v1.Health/check", nil), ("/grpc.health.v1.Health/Watch/", nil),
    ] as [(String, GRPCMethod?)])
  func `a call is known by its whole path`(path: String, expected: GRPCMethod?) {
    let bytes = Array(path.utf8)
    #expect(GRPCMethod(path: bytes.span) == expected)
  }

  @Test(
    arguments: [
      ("1S", 1_000_000_000), ("200m", 200_000_000), ("99999999n", 99_999_999), ("5u", 5000), ("1M", 60_000_000_000),
      ("1H", 3_600_000_000_000), ("0S", 0), ("99999999H", .max), ("S", nil), ("", nil), ("1", nil), ("1s", nil),
      ("-1S", nil), ("123456789n", nil), ("1 S", nil), ("1.5S", nil),
    ] as [(String, UInt64?)])
  func `a timeout is up to eight digits and a unit`(text: String, expected: UInt64?) {
    let bytes = Array(text.utf8)
    #expect(GRPCTimeout.nanoseconds(bytes.span) == expected)
  }

  private func service(_ message: [UInt8]) -> String {
    do throws(MessageFault) { return "\(try HealthService(reading: message.span))" } catch { return "\(error.name)" }
  }

  @Test func `health is asked for the server, for the authorization, or for something else`() {
    #expect(service([]) == "server")
    #expect(service(text(1, "")) == "server")
    #expect(service(text(9, "x")) == "server")
    #expect(service(text(1, "envoy.service.auth.v3.Authorization")) == "authorization")
    #expect(service(text(1, "envoy.service.auth.v3.authorization")) == "unknown")
    #expect(service(number(1, 1)) == "wrong_wire_type")
    #expect(service(join(text(1, "a"), text(1, "a"))) == "repeated_field")
    #expect(service([0x0A, 5]) == "truncated")
    #expect(service([UInt8](repeating: 0, count: 65_537)) == "too_large")
  }

  @Test(arguments: HealthStatus.allCases)
  func `a health response is a prefix and a status`(status: HealthStatus) {
    var out = [UInt8](repeating: 0xFF, count: 8)
    var span = out.mutableSpan
    status.write(into: &span)
    #expect(out == [0, 0, 0, 0, 2, 0x08, status.rawValue, 0xFF])
  }
}
