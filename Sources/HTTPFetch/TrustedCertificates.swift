// The file of certificates that a fetch may trust in place of the system's, before anything is fetched.

import EventLoops
import POSIX

/// PEM certificates to trust.
public enum TrustedCertificates {
  /// Why nothing can be trusted from the file: it can't be read, or holds no PEM certificate; one line. Nil: it is fine.
  /// Reads the file.
  public static func fault(inFile path: String) -> String? {
    do throws(FetchFailure) {
      _ = try TLSContext(caFile: path)
      return nil
    } catch {
      if case .tls(let words) = error { return words }
      return error.description
    }
  }
}
