// One GET /readyz over a plain socket with one deadline over everything. `unsafe` is here because sockets are C;
// what the answer means is decided on bytes, apart.

import Glibc
import Settings

/// Asks a gateway's admin address whether it is ready. Blocks its thread.
enum HealthProbe {
  enum Answer: Equatable {
    case ready
    /// Another status than 200, or no HTTP (0).
    case notReady(status: Int)
    case unreachable
    case late

    var words: String {
      switch self {
      case .ready: "ready"
      case .notReady(0): "the answer is no HTTP"
      case .notReady(let status): "not ready, status \(status)"
      case .unreachable: "cannot connect"
      case .late: "no answer in time"
      }
    }
  }

  /// - Parameter deadlineMilliseconds: over connecting, asking and the answer's first line.
  static func ask(_ address: NetworkAddress, deadlineMilliseconds: Int) -> Answer {
    let deadline = monotonicMilliseconds() + deadlineMilliseconds
    let (descriptor, isConnecting) = connectSocket(to: address)
    guard descriptor >= 0 else { return .unreachable }
    defer { close(descriptor) }
    if isConnecting {
      guard wait(descriptor, POLLOUT, until: deadline) else { return .late }
      guard pendingError(descriptor) == 0 else { return .unreachable }
    }
    let question = Array("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
    // Safe: send(2) only reads the array's bytes, during the call. They fit an empty socket buffer at once.
    let sent = unsafe question.withUnsafeBytes {
      unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
    guard sent == question.count else { return .unreachable }
    var answer: [UInt8] = []
    while answer.count < 64 {
      guard wait(descriptor, POLLIN, until: deadline) else { return .late }
      var chunk = [UInt8](repeating: 0, count: 64)
      // Safe: recv(2) writes at most the array's own count into it.
      let received = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
      if received < 0, errno == EINTR || errno == EAGAIN { continue }
      if received <= 0 { break }
      answer += chunk.prefix(received)
    }
    return judge(answer)
  }

  /// What the beginning of an answer means: `HTTP/1.x NNN`, then a space or the line's end.
  static func judge(_ answer: [UInt8]) -> Answer {
    guard answer.starts(with: Array("HTTP/1.".utf8)), answer.count >= 13, answer[8] == UInt8(ascii: " "),
      answer[12] == UInt8(ascii: " ") || answer[12] == UInt8(ascii: "\r")
    else { return .notReady(status: 0) }
    let digits = answer[9..<12]
    guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return .notReady(status: 0)
    }
    let status = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    return status == 200 ? .ready : .notReady(status: status)
  }

  /// A non-blocking socket whose connection is made or under way; -1 if it cannot be.
  private static func connectSocket(to address: NetworkAddress) -> (descriptor: Int32, isConnecting: Bool) {
    switch address {
    case .unix(let path):
      var name = sockaddr_un()
      name.sun_family = sa_family_t(AF_UNIX)
      let fits = copy(path, to: &name)
      return fits ? connectSocket(AF_UNIX, &name) : (-1, false)
    case .tcp(let host, let port):
      var v4 = sockaddr_in()
      // Safe: inet_pton reads the bridged string and fills one in_addr, in6_addr below; both live for the call.
      if unsafe inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = port.bigEndian
        return connectSocket(AF_INET, &v4)
      }
      var v6 = sockaddr_in6()
      guard unsafe inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 else { return (-1, false) }
      v6.sin6_family = sa_family_t(AF_INET6)
      v6.sin6_port = port.bigEndian
      return connectSocket(AF_INET6, &v6)
    }
  }

  /// Copies a path with its NUL into `sun_path`; false if it is too long.
  private static func copy(_ path: String, to name: inout sockaddr_un) -> Bool {
    let bytes = Array(path.utf8)
    // Safe: the copy is bounded by the field's own size, less one for the NUL that is there already.
    return unsafe withUnsafeMutableBytes(of: &name.sun_path) { field in
      guard bytes.count < field.count else { return false }
      unsafe field.copyBytes(from: bytes)
      return true
    }
  }

  private static func connectSocket<Name>(_ family: Int32, _ name: inout Name) -> (
    descriptor: Int32, isConnecting: Bool
  ) {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, type, 0)
    guard descriptor >= 0 else { return (-1, false) }
    // Safe: each sockaddr_* begins as sockaddr does; connect(2) reads only as many bytes as it is told, during the call.
    let result = unsafe withUnsafeBytes(of: &name) { bytes in
      let generic = unsafe bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return unsafe connect(descriptor, __CONST_SOCKADDR_ARG(__sockaddr__: generic), socklen_t(bytes.count))
    }
    if result == 0 || errno == EINPROGRESS { return (descriptor, result != 0) }
    close(descriptor)
    return (-1, false)
  }

  /// The socket's pending error, 0 for none.
  private static func pendingError(_ descriptor: Int32) -> Int32 {
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    // Safe: getsockopt fills one Int32, whose size it is told.
    let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
    return result == 0 ? error : errno
  }

  /// Waits for an event; false when the deadline has passed.
  private static func wait(_ descriptor: Int32, _ events: Int32, until deadline: Int) -> Bool {
    while true {
      let left = deadline - monotonicMilliseconds()
      if left <= 0 { return false }
      var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
      // Safe: one pollfd of this frame, alive for the call.
      let ready = unsafe poll(&entry, 1, Int32(left))
      if ready > 0 { return true }
      if ready == 0 || errno != EINTR { return false }
    }
  }

  private static func monotonicMilliseconds() -> Int {
    var time = timespec()
    // Safe: clock_gettime fills one timespec of this frame.
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
  }
}
