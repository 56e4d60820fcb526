// Fuzzed: JWK sets, under the rules of two issuers. The first byte picks one.

import Token
import Verification

private let cloudflare = Array("https://acme.cloudflareaccess.com".utf8)
private let other = Array("https://keys.example".utf8)
private let all = AlgorithmSet(rawValue: .max)

@_cdecl("LLVMFuzzerTestOneInput")
func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  let isOther = bytes.first == 0x20
  let algorithms = isOther ? all : .rs256
  do throws(JWKSetError) {
    let set = try JWKSet.read(bytes.span, issuer: isOther ? other : cloudflare, algorithms: algorithms)
    precondition(!set.keys.isEmpty && set.keys.count + set.skipped.count <= JWKSet.maximumKeys)
    precondition(Set(set.keys.map(\.kid)).count == set.keys.count, "a kid twice")
    for key in set.keys {
      precondition(algorithms.contains(key.algorithm))
      precondition((1...256).contains(key.kid.count) || key.kid.isEmpty && set.keys.count == 1)
      if key.algorithm.keyType == .rsa { precondition((2048...8192).contains(key.bits)) }
    }
  } catch {
    precondition(error.description.utf8.allSatisfy { (0x20..<0x7F).contains($0) }, "a raw byte leaves")
  }
  return 0
}
