// What a token that was denied says of itself, for its log line. Nobody has vouched for any of it.

import Telemetry
import Token

/// Reads the claims of a token whatever is wrong with it, as far as its payload is JSON.
enum ClaimedIdentity {
  private static let email: ShortText = "email"
  private static let commonName: ShortText = "common_name"
  private static let audience: ShortText = "aud"
  private static let issuer: ShortText = "iss"
  /// Longer values are cut here, and `…` follows.
  private static let limit = 128

  /// `claimed_email`, or else `claimed_name`, then `token_aud` and `token_iss`; those that are there.
  ///
  /// Allocates, and takes time in proportion to the token: only for lines that are written.
  static func fields(of token: Span<UInt8>) -> [(StaticString, LogValue)] {
    guard token.count <= TokenReader.maximumTokenLength, let part = payload(of: token) else { return [] }
    var decoded = [UInt8](repeating: 0, count: part.count)
    var space = decoded.mutableSpan
    guard let count = Base64URL.decode(token, in: part, to: &space) else { return [] }
    var document = JSONDocument(nodeCapacity: count / 2 + 1)
    let source = decoded.span.extracting(0..<count)
    guard document.parse(source), let root = document.root, root.kind == .object else { return [] }

    var fields: [(StaticString, LogValue)] = []
    if let text = document.member(of: root, named: email, in: source).flatMap({ text(of: $0, decoded) }) {
      fields.append(("claimed_email", .string(text)))
    } else if let text = document.member(of: root, named: commonName, in: source).flatMap({ text(of: $0, decoded) }) {
      fields.append(("claimed_name", .string(text)))
    }
    if let node = document.member(of: root, named: audience, in: source) {
      var texts: [String] = []
      if node.kind == .array {
        var cursor = document.children(of: node)
        while texts.count < 4, let element = document.nextElement(&cursor) {
          if let text = text(of: element, decoded) { texts.append(text) }
        }
        if document.nextElement(&cursor) != nil { texts.append("…") }
      } else if let text = text(of: node, decoded) {
        texts = [text]
      }
      if !texts.isEmpty { fields.append(("token_aud", .string(texts.joined(separator: ",")))) }
    }
    if let text = document.member(of: root, named: issuer, in: source).flatMap({ text(of: $0, decoded) }) {
      fields.append(("token_iss", .string(text)))
    }
    return fields
  }

  /// What stands between the first and the second dot.
  private static func payload(of token: Span<UInt8>) -> Range<Int>? {
    var first: Int?
    for place in token.indices where token[place] == UInt8(ascii: ".") {
      guard let first else {
        first = place
        continue
      }
      return first + 1..<place
    }
    return nil
  }

  /// The text of a JSON string, cut; nil for other kinds. The log escapes it.
  private static func text(of node: JSONNode, _ payload: [UInt8]) -> String? {
    guard node.kind == .string else { return nil }
    var bytes: [UInt8] = []
    node.appendUnescaped(to: &bytes, in: payload.span)
    guard bytes.count > limit else { return String(decoding: bytes, as: UTF8.self) }
    return String(decoding: bytes.prefix(limit), as: UTF8.self) + "…"
  }
}
