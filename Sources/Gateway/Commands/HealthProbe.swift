// One GET /readyz, and what its answer means.

import EventLoops
import HTTPFetch
import HTTPServing
import POSIX
import Settings

/// Asks a gateway's admin address whether it is ready.
enum HealthProbe {
  enum Answer: Equatable {
    case ready
    /// Another status than 200.
    case notReady(status: Int)
    /// No connection, no HTTP, or nothing in time; the words say which.
    case failed(String)

    var words: String {
      switch self {
      case .ready: "ready"
      case .notReady(let status): "not ready, status \(status)"
      case .failed(let why): why
      }
    }
  }

  /// Blocks its thread.
  ///
  /// - Parameter deadlineMilliseconds: over connecting, asking and the whole answer.
  static func ask(_ address: NetworkAddress, deadlineMilliseconds: Int64) -> Answer {
    switch BlockingFetch.response(from: FetchTarget(address, path: "/readyz"), deadline: deadlineMilliseconds) {
    case .success(let response) where response.status == 200: .ready
    case .success(let response): .notReady(status: response.status)
    case .failure(let failure): .failed(failure.description)
    }
  }
}

extension FetchTarget {
  /// A page of the gateway that has its admin listener at `address`.
  init(_ address: NetworkAddress, path: String) {
    switch address {
    case .tcp(let host, let port), .tls(let host, let port): self.init(isTLS: false, host: host, port: port, path: path)
    case .unix(let socket): self.init(isTLS: false, host: "unix:\(socket)", port: 80, path: path)
    }
  }
}
