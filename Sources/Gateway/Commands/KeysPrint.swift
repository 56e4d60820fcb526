// Prints lists of keys: those that a running gateway tells, or those of the files in a state folder.

import EventLoops
import Glibc
import HTTPFetch
import HTTPServing
import POSIX
import IssuerKeys
import Telemetry
import Settings
import Token
import Verification

enum KeysPrint {
  /// Asks a running gateway. Returns the exit code.
  static func running(at address: NetworkAddress) -> Int32 {
    switch BlockingFetch.response(from: FetchTarget(address, path: "/keys")) {
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
    guard let names = KeyStateFile.names(in: folder) else {
      printError("access-gateway: keys: \(SystemError("open \(folder)"))")
      return 1
    }
    var code: Int32 = 0
    var listings: [KeyListing] = []
    for name in names.sorted() where name.hasPrefix(KeyStateFile.prefix) {
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
    // Under whatever settings it was fetched: nothing is verified by these keys.
    let set: JWKSet
    do throws(JWKSetError) {
      set = try JWKSet.read(
        state.set.span, issuer: Array(state.issuer.utf8), preferring: Algorithm.inOrder(SignatureName.allCases))
    } catch {
      throw .set(error.description)
    }
    return KeyListing(
      issuer: Printable.text(state.issuer.utf8), source: Printable.text(state.source.utf8), fetchedAt: state.fetchedAt,
      keys: set.keys.map { KeyListing.Row($0, firstSeen: state.seen, isServing: false) })
  }
}
