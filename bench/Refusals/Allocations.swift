// Counts allocations: all of the process's by the preloaded shim (bench/count_allocations.c), OpenSSL's by its own hooks.
// Nothing is measured here, and nothing is known of tokens.

import COpenSSL
import Glibc
import Synchronization

private let opensslCount = Atomic<UInt>(0)

/// How many allocations were made so far, OpenSSL's apart.
struct Allocations {
  private typealias Counter = @convention(c) () -> UInt

  private let total: Counter

  /// Nil where the shim is not preloaded. To be made before the first call of OpenSSL, whose hooks come too late then.
  init?() {
    guard let symbol = unsafe dlsym(nil, "bench_allocation_count") else { return nil }
    // The shim defines it as a function without parameters that returns unsigned long.
    total = unsafe unsafeBitCast(symbol, to: Counter.self)
    let hooked = unsafe CRYPTO_set_mem_functions(
      { size, _, _ in
        opensslCount.add(1, ordering: .relaxed)
        return unsafe malloc(size)
      },
      { old, size, _, _ in
        opensslCount.add(1, ordering: .relaxed)
        return unsafe realloc(old, size)
      },
      { old, _, _ in unsafe free(old) })
    guard hooked == 1 else { return nil }
  }

  /// Allocations by OpenSSL, and by everything else in the process.
  func now() -> (openssl: UInt, ours: UInt) {
    let openssl = opensslCount.load(ordering: .relaxed)
    return (openssl, total() - openssl)
  }
}
