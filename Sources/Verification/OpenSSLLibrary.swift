// The one setting of OpenSSL as a whole.

import COpenSSL

/// OpenSSL as the process uses it.
public enum OpenSSLLibrary {
  /// Keeps OpenSSL from freeing its tables in `exit`: workers may be in the middle of a call then, on tables that go away
  /// under them. Call once, before any thread uses OpenSSL.
  public static func keepThroughExit() {
    _ = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
  }
}
