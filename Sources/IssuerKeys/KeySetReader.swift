// From a keys location to a key set: the fetch or the file, and what must be true of what came. No schedule, no state.

import EventLoops
import Glibc
import HTTPFetch
import POSIX
import Settings
import Telemetry
import Token
import Verification

/// Why no key set was had.
package struct KeyFetchFailure: Error, CustomStringConvertible {
  package let outcome: KeyRefreshOutcome
  package let description: String
  /// Seconds that the server asked to wait.
  package var retryAfter: Int?
  /// Why each key was not usable, where a set came and none was.
  package var skipped: [SkippedKey] = []
}

/// A usable set, and the bytes that it was read from.
package struct FetchedSet: Sendable {
  package let set: JWKSet
  let bytes: [UInt8]
}

package struct KeySetReader: Sendable {
  let issuer: [UInt8]
  let location: KeysLocation
  /// The issuer's, in the order in which they are given.
  let algorithms: [Algorithm]
  let caFile: String?
  let proxy: FetchProxy?

  package init(_ settings: IssuerSettings, caFile: String?) {
    issuer = Array(settings.issuer.utf8)
    location = settings.keysLocation
    algorithms = Algorithm.inOrder(settings.algorithms)
    self.caFile = caFile
    proxy = settings.proxy.map { FetchProxy(host: $0.host, port: $0.port, credentials: $0.credentials) }
  }

  /// Gets the set once.
  ///
  /// - Parameter done: called once on the loop's thread, or inside this call when no network is needed.
  /// - Returns: what to cancel it by; nil when `done` was called already.
  @discardableResult
  func fetch(on loop: EventLoop, _ done: @escaping (Result<FetchedSet, KeyFetchFailure>) -> Void) -> Fetch? {
    switch location {
    case .file(let path):
      done(readFile(path).flatMap(read))
      return nil
    case .web(let url):
      let target = FetchTarget(
        isTLS: url.isSecure, host: url.host, port: url.port, path: url.target, caFile: caFile, proxy: proxy,
        staysPrivate: !url.isSecure)
      do throws(SystemError) {
        return try Fetch(target, on: loop, maxBody: JWKSet.maximumBytes) { result in
          done(result.mapError(Self.failure).flatMap(accept).flatMap(read))
        }
      } catch {
        done(.failure(KeyFetchFailure(outcome: .connect, description: error.description)))
        return nil
      }
    }
  }

  /// Gets the set once; blocks for at most the fetch's own deadline (5 s).
  package func fetchBlocking() -> Result<FetchedSet, KeyFetchFailure> {
    BlockingFetch.run { loop, done in fetch(on: loop, done) }
      ?? .failure(KeyFetchFailure(outcome: .connect, description: "no event loop could be made"))
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
  func read(_ bytes: [UInt8]) -> Result<FetchedSet, KeyFetchFailure> {
    do throws(JWKSetError) {
      let set = try JWKSet.read(bytes.span, issuer: issuer, preferring: algorithms)
      return .success(FetchedSet(set: set, bytes: bytes))
    } catch {
      let outcome: KeyRefreshOutcome =
        switch error {
        case .tooLarge, .tooManyKeys: .tooLarge
        case .malformed, .noKeys, .noUsableKey: .invalid
        }
      var failure = KeyFetchFailure(outcome: outcome, description: error.description)
      if case .noUsableKey(let skipped) = error { failure.skipped = skipped }
      return .failure(failure)
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
    do throws(SystemError) {
      // A FIFO or a terminal would hold up the control thread, and with it signals and health checks.
      let file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
      guard try file.status().isRegular else {
        return .failure(KeyFetchFailure(outcome: .file, description: "\(path) is no regular file"))
      }
      guard let bytes = try file.readAll(atMost: JWKSet.maximumBytes) else {
        return .failure(
          KeyFetchFailure(outcome: .tooLarge, description: "\(path) is larger than \(JWKSet.maximumBytes) bytes"))
      }
      return .success(bytes)
    } catch {
      return .failure(KeyFetchFailure(outcome: .file, description: error.description))
    }
  }
}

extension Algorithm {
  /// The algorithms that go by the names, in their order; `EdDSA` is two.
  package static func inOrder(_ names: [SignatureName]) -> [Algorithm] {
    names.flatMap { name in
      let named = AlgorithmSet([name])
      return allCases.filter(named.contains)
    }
  }
}

extension AlgorithmSet {
  /// The algorithms that go by the names; `EdDSA` is two.
  package init(_ names: [SignatureName]) {
    self = names.reduce([]) { set, name in
      let bytes = Array(name.rawValue.utf8)
      return set.union(Algorithm.named(bytes.span))
    }
  }
}
