// From a token's claims to the record that policies are asked with: the one place that joins what a token says (`Token`) and
// what a file asks for (`Policy`). Nothing is judged here.

import Policy
import Token

/// Writes the records of verified tokens into memory that is used again and again; one a thread.
struct ClaimRecord {
  /// The record; complete after ``write(_:plan:issuer:tokenDigest:)``.
  private(set) var writer = IdentityRecordWriter()
  private var unescaped: [UInt8] = []

  private static let custom = Array("custom".utf8)
  private static let texts: [(IdentityRecord.Text, [UInt8])] = [
    (.email, Array("email".utf8)), (.commonName, Array("common_name".utf8)), (.subject, Array("sub".utf8)),
    (.nonce, Array("identity_nonce".utf8)), (.country, Array("country".utf8)),
  ]

  init() { unescaped.reserveCapacity(TokenReader.maximumTokenLength) }

  /// Writes the record of the token that `reader` has read last.
  ///
  /// - Parameters:
  ///   - issuer: the issuer's place in the definitions' list.
  ///   - tokenDigest: the SHA-256 of the token's bytes.
  /// - Returns: whether there is a record: false where the token was refused, or names nobody.
  mutating func write(
    _ reader: borrowing TokenReader, plan: ClaimPlan, issuer: Int, tokenDigest: Span<UInt8>
  ) -> Bool {
    guard let kind = reader.kind else { return false }
    writer.begin(
      plan: plan, isPerson: kind == .user, issuer: issuer, issuedAt: reader.issuedAt ?? 0, tokenDigest: tokenDigest)
    reader.withPayload { document, source in
      guard let root = document.root else { return }
      for (text, name) in Self.texts {
        guard let node = document.member(of: root, named: name.span, in: source), node.kind == .string else { continue }
        Self.set(text, node, source, in: &writer, &unescaped)
      }
      for (slot, path) in plan.paths.enumerated() {
        guard let node = Self.value(at: path, in: document, root, source) else { continue }
        writer.beginClaim(slot)
        Self.append(node, document, source, isElement: false, to: &writer, &unescaped)
      }
    }
    return true
  }

  /// What stands at a path of the payload, or else at the same path under `custom`.
  private static func value(
    at path: ClaimPath, in document: borrowing JSONDocument, _ root: JSONNode, _ source: Span<UInt8>
  ) -> JSONNode? {
    if let found = walk(path.names, document, root, source) { return found }
    guard let custom = document.member(of: root, named: custom.span, in: source) else { return nil }
    return walk(path.names, document, custom, source)
  }

  private static func walk(
    _ names: [[UInt8]], _ document: borrowing JSONDocument, _ from: JSONNode, _ source: Span<UInt8>
  ) -> JSONNode? {
    var node = from
    for name in names {
      guard let next = document.member(of: node, named: name.span, in: source) else { return nil }
      node = next
    }
    return node
  }

  private static func append(
    _ node: JSONNode, _ document: borrowing JSONDocument, _ source: Span<UInt8>, isElement: Bool,
    to writer: inout IdentityRecordWriter, _ unescaped: inout [UInt8]
  ) {
    switch node.kind {
    case .string:
      if node.hasEscapes {
        unescape(node, source, &unescaped)
        writer.text(unescaped.span)
      } else {
        writer.text(source.extracting(node.range))
      }
    case .number: writer.number(source.extracting(node.range))
    case .true: writer.boolean(true)
    case .false: writer.boolean(false)
    case .null, .object: writer.other()
    case .array:
      guard !isElement else { return writer.other() }
      writer.beginArray()
      var cursor = document.children(of: node)
      while let element = document.nextElement(&cursor) {
        append(element, document, source, isElement: true, to: &writer, &unescaped)
      }
      writer.endArray()
    }
  }

  private static func set(
    _ text: IdentityRecord.Text, _ node: JSONNode, _ source: Span<UInt8>, in writer: inout IdentityRecordWriter,
    _ unescaped: inout [UInt8]
  ) {
    if node.hasEscapes {
      unescape(node, source, &unescaped)
      writer.set(text, unescaped.span)
    } else {
      writer.set(text, source.extracting(node.range))
    }
  }

  private static func unescape(_ node: JSONNode, _ source: Span<UInt8>, _ unescaped: inout [UInt8]) {
    unescaped.removeAll(keepingCapacity: true)
    node.appendUnescaped(to: &unescaped, in: source)
  }
}
