// Claims as a tree of values, for those who may allocate: policy tests and explanations. A token's reader fills records
// from JSON itself; what a path finds must be the same.

/// A JSON value.
public indirect enum ClaimValue: Sendable, Equatable {
  case text(String)
  /// As JSON writes it.
  case number(String)
  case boolean(Bool)
  case null
  case list([ClaimValue])
  case object([Member])

  public struct Member: Sendable, Equatable {
    public let name: String
    public let value: ClaimValue

    public init(_ name: String, _ value: ClaimValue) {
      self.name = name
      self.value = value
    }
  }

  /// What stands at a path of an object; nil where nothing does.
  func value(at names: ArraySlice<[UInt8]>) -> ClaimValue? {
    guard let name = names.first else { return self }
    guard case .object(let members) = self, let member = members.first(where: { Array($0.name.utf8) == name }) else {
      return nil
    }
    return member.value.value(at: names.dropFirst())
  }
}

/// An identity as a policy test writes it.
public struct CaseIdentity: Sendable, Equatable {
  public var email: String?
  /// A Client ID, or a certificate's name.
  public var commonName: String?
  public var subject: String?
  public var country: String?
  public var nonce: String?
  /// Other claims, at the top of the payload.
  public var claims: [ClaimValue.Member]

  public init(
    email: String? = nil, commonName: String? = nil, subject: String? = nil, country: String? = nil,
    nonce: String? = nil, claims: [ClaimValue.Member] = []
  ) {
    self.email = email
    self.commonName = commonName
    self.subject = subject
    self.country = country
    self.nonce = nonce
    self.claims = claims
  }

  public var isPerson: Bool { email != nil }

  /// The payload that such a token would have.
  var payload: ClaimValue {
    let standard = [
      ("email", email), ("common_name", commonName), ("sub", subject), ("country", country), ("identity_nonce", nonce),
    ].compactMap { name, value in value.map { ClaimValue.Member(name, .text($0)) } }
    return .object(standard + claims)
  }

  /// Writes the identity's record.
  public func write(
    to writer: inout IdentityRecordWriter, plan: ClaimPlan, issuer: Int = 0, issuedAt: Double = 0,
    tokenDigest: [UInt8] = []
  ) {
    writer.begin(plan: plan, isPerson: isPerson, issuer: issuer, issuedAt: issuedAt, tokenDigest: tokenDigest.span)
    let texts: [(IdentityRecord.Text, String?)] = [
      (.email, email), (.commonName, commonName), (.subject, subject), (.nonce, nonce), (.country, country),
    ]
    for (text, value) in texts { if let value { writer.set(text, Array(value.utf8).span) } }
    let payload = payload
    for (slot, path) in plan.paths.enumerated() {
      let names = path.names[...]
      guard let value = payload.value(at: names) ?? payload.value(at: [Array("custom".utf8)] + names) else { continue }
      writer.beginClaim(slot)
      writer.append(value, isElement: false)
    }
  }
}

extension IdentityRecordWriter {
  fileprivate mutating func append(_ value: ClaimValue, isElement: Bool) {
    switch value {
    case .text(let text): self.text(Array(text.utf8).span)
    case .number(let text): number(Array(text.utf8).span)
    case .boolean(let isTrue): boolean(isTrue)
    case .null, .object: other()
    case .list(let values):
      guard !isElement else { return other() }
      beginArray()
      for value in values { append(value, isElement: true) }
      endArray()
    }
  }
}
