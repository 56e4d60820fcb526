// Prints lists of keys: those that a running gateway tells, or those of the files in a state folder.

import EventHTTP
import Glibc
import Settings
import Token
import Verification

enum KeysPrint {
  /// Asks a running gateway. Returns the exit code.
  static func running(at address: NetworkAddress) -> Int32 {
    switch OneFetch.response(from: FetchTarget(address, path: "/keys")) {
    case .failure(let failure):
      printError("access-gateway: keys: \(failure) (\(address))")
      return 1
    case .success(let response):
      guard response.status == 200 else {
        printError("access-gateway: keys: \(address) answered with status \(response.status)")
        return 1
      }
      for line in response.body.split(separator: 10, omittingEmptySubsequences: false).dropLast() {
        print(Printable.text(line))
      }
      return 0
    }
  }

  /// Reads a state folder. Returns the exit code: 1 when a file in it is not usable, or it can't be read.
  static func stored(in folder: String) -> Int32 {
    guard let names = stateFiles(in: folder) else {
      printError("access-gateway: keys: \(SystemError("open \(folder)"))")
      return 1
    }
    var code: Int32 = 0
    var listings: [KeyListing] = []
    for name in names.sorted() {
      let file = KeyStateFile(folder: folder, name: name)
      do throws(KeyStateFault) {
        guard let bytes = try file.read() else { continue }
        listings.append(try listing(KeyState(decoding: bytes)))
      } catch {
        printError("access-gateway: keys: \(file.path): \(error)")
        code = 1
      }
    }
    print(KeyListing.text(listings), terminator: "")
    return code
  }

  private static func listing(_ state: KeyState) throws(KeyStateFault) -> KeyListing {
    // Under whatever settings it was fetched: nothing is verified by these keys. A key without alg is only known where
    // the issuer has one algorithm that fits, which is RS256 unless somebody said otherwise.
    let issuer = Array(state.issuer.utf8)
    let readings = [AlgorithmSet(SignatureName.allCases), .rs256].compactMap { algorithms in
      try? JWKSet.read(state.set.span, issuer: issuer, algorithms: algorithms)
    }
    guard let set = readings.max(by: { $0.keys.count < $1.keys.count }) else {
      throw .set("no key of the set is usable")
    }
    return KeyListing(
      issuer: Printable.text(state.issuer.utf8), source: Printable.text(state.source.utf8), fetchedAt: state.fetchedAt,
      keys: set.keys.map { KeyListing.Row($0, firstSeen: state.seen, isServing: false) })
  }

  /// The names of the state files in a folder; nil when it can't be read.
  private static func stateFiles(in folder: String) -> [String]? {
    // Safe: the stream is this function's own and closed at its end; an entry is copied before the next is read.
    guard let stream = unsafe opendir(folder) else { return nil }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasPrefix(KeyStateFile.prefix) { names.append(name) }
    }
    return names
  }
}
