// From a token that was read and found valid to the record that policies, headers and revocations are judged by: only
// what the claim plan asks for. What a path finds here is what `ClaimValue` finds for policy tests.

import Policy
import Token
import Verification

extension IdentityRecordWriter {
  private static let email: ShortText = "email"
  private static let commonName: ShortText = "common_name"
  private static let subject: ShortText = "sub"
  private static let nonce: ShortText = "identity_nonce"
  private static let country: ShortText = "country"
  private static let custom: ShortText = "custom"

  /// Writes the record of the token last read by `reader`, whose bytes are `token`.
  ///
  /// - Parameters:
  ///   - issuer: the issuer's place in the settings.
  ///   - scratch: memory for one text; its contents are replaced.
  /// - Returns: whether everything fitted into ``IdentityRecord/maximumBytes``; else the token must be denied.
  mutating func write(
    _ reader: borrowing TokenReader, token: Span<UInt8>, plan: ClaimPlan, issuer: Int, scratch: inout [UInt8]
  ) -> Bool {
    let digest = SHA256Digest(of: token).bytes
    begin(
      plan: plan, isPerson: reader.kind == .user, issuer: issuer, issuedAt: reader.issuedAt ?? 0,
      tokenDigest: digest.span)
    var writer = self
    reader.withPayload { document, source in
      guard let root = document.root else { return }
      let texts: [(IdentityRecord.Text, ShortText)] = [
        (.email, Self.email), (.commonName, Self.commonName), (.subject, Self.subject), (.nonce, Self.nonce),
        (.country, Self.country),
      ]
      for (text, name) in texts {
        guard let node = document.member(of: root, named: name, in: source), node.kind == .string else { continue }
        scratch.removeAll(keepingCapacity: true)
        node.appendUnescaped(to: &scratch, in: source)
        writer.set(text, scratch.span)
      }
      let custom = document.member(of: root, named: Self.custom, in: source)
      for (slot, path) in plan.paths.enumerated() {
        var found = Self.node(at: path, below: root, document, source)
        if found == nil, let custom { found = Self.node(at: path, below: custom, document, source) }
        guard let found else { continue }
        writer.beginClaim(slot)
        writer.append(found, isElement: false, document, source, &scratch)
      }
    }
    self = writer
    return !isCut
  }

  private static func node(
    at path: ClaimPath, below root: JSONNode, _ document: borrowing JSONDocument, _ source: Span<UInt8>
  ) -> JSONNode? {
    var node = root
    for name in path.names {
      guard let member = document.member(of: node, named: name.span, in: source) else { return nil }
      node = member
    }
    return node
  }

  private mutating func append(
    _ node: JSONNode, isElement: Bool, _ document: borrowing JSONDocument, _ source: Span<UInt8>,
    _ scratch: inout [UInt8]
  ) {
    switch node.kind {
    case .string:
      scratch.removeAll(keepingCapacity: true)
      node.appendUnescaped(to: &scratch, in: source)
      text(scratch.span)
    case .number: number(source.extracting(node.range))
    case .true: boolean(true)
    case .false: boolean(false)
    case .null, .object: other()
    case .array:
      guard !isElement else { return other() }
      beginArray()
      var cursor = document.children(of: node)
      while let element = document.nextElement(&cursor) {
        append(element, isElement: true, document, source, &scratch)
      }
      endArray()
    }
  }
}
