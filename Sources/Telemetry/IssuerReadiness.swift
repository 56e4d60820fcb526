// What is known of an issuer's keys, for readiness.

/// Whether tokens of one issuer can be decided.
package struct IssuerReadiness {
  package var issuer: String
  /// Usable keys; 0: none that may be trusted.
  package var keys: Int
  /// Since the set in use was fetched; nil without one.
  package var ageSeconds: Int?
  /// The set in use came from the state file.
  package var isRestored = false
  /// Why the last fetch failed, if it did.
  package var lastFailure: String?

  package init(
    issuer: String, keys: Int, ageSeconds: Int? = nil, isRestored: Bool = false, lastFailure: String? = nil
  ) {
    self.issuer = issuer
    self.keys = keys
    self.ageSeconds = ageSeconds
    self.isRestored = isRestored
    self.lastFailure = lastFailure
  }
}
