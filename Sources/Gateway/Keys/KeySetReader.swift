// From a keys location to a key set: the fetch or the file, and what must be true of what came. No schedule, no state.

import EventHTTP
import Glibc
import Telemetry
import Settings
import Token
import Verification

/// Why no key set was had.
struct KeyFetchFailure: Error, CustomStringConvertible {
  let outcome: KeyRefreshOutcome
  let description: String
  /// Seconds that the server asked to wait.
  var retryAfter: Int?
}

struct KeySetReader: Sendable {
  let issuer: [UInt8]
  let location: KeysLocation
  let algorithms: AlgorithmSet

  init(_ settings: GatewaySettings) {
    issuer = Array(settings.issuer.utf8)
    location = settings.keysLocation
    algorithms = .rs256
  }

  /// Gets the set once.
  ///
  /// - Parameters:
  ///   - keep: is given the fetch, which lives as long as it is kept.
  ///   - done: called once on the loop's thread, or inside this call when no network is needed.
  func fetch(
    on loop: EventLoop, keep: (Fetch) -> Void, _ done: @escaping (Result<JWKSet, KeyFetchFailure>) -> Void
  ) {
    switch location {
    case .file(let path):
      done(readFile(path).flatMap(read))
    case .web(let url):
      let target = FetchTarget(isTLS: url.isSecure, host: url.host, port: url.port, path: url.target)
      do throws(SystemError) {
        keep(
          try Fetch(target, on: loop, maxBody: JWKSet.maximumBytes) { result in
            done(result.mapError(Self.failure).flatMap(accept).flatMap(read))
          })
      } catch {
        done(.failure(KeyFetchFailure(outcome: .connect, description: error.description)))
      }
    }
  }

  private func accept(_ response: FetchResponse) -> Result<[UInt8], KeyFetchFailure> {
    guard response.status == 200 else {
      return .failure(
        KeyFetchFailure(
          outcome: .status, description: "the server answered with status \(response.status)",
          retryAfter: response.retryAfter))
    }
    return .success(response.body)
  }

  /// Reads the bytes of a set; none of its keys usable is a failure, too.
  func read(_ bytes: [UInt8]) -> Result<JWKSet, KeyFetchFailure> {
    do throws(JWKSetError) {
      return .success(try JWKSet.read(bytes.span, issuer: issuer, algorithms: algorithms))
    } catch {
      let outcome: KeyRefreshOutcome =
        switch error {
        case .tooLarge, .tooManyKeys: .tooLarge
        case .malformed, .noKeys, .noUsableKey: .invalid
        }
      return .failure(KeyFetchFailure(outcome: outcome, description: "\(error.explanation)"))
    }
  }

  private static func failure(_ failure: FetchFailure) -> KeyFetchFailure {
    let outcome: KeyRefreshOutcome =
      switch failure {
      case .resolve: .resolve
      case .connect, .truncated: .connect
      case .tls: .tls
      case .timeout: .timeout
      case .tooLarge: .tooLarge
      case .badResponse: .invalid
      }
    return KeyFetchFailure(outcome: outcome, description: failure.description)
  }

  private func readFile(_ path: String) -> Result<[UInt8], KeyFetchFailure> {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      return .failure(KeyFetchFailure(outcome: .file, description: SystemError("open \(path)").description))
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 * 1024)
    while bytes.count <= JWKSet.maximumBytes {
      let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count == 0 { return .success(bytes) }
      guard count > 0 else {
        return .failure(KeyFetchFailure(outcome: .file, description: SystemError("read \(path)").description))
      }
      bytes += part[..<count]
    }
    return .failure(
      KeyFetchFailure(outcome: .tooLarge, description: "\(path) is larger than \(JWKSet.maximumBytes) bytes"))
  }
}
