// Bytes of a revocation file → entries, or every mistake. An empty file and an empty list are good: nobody is revoked.

import Policy
import Wording

/// Reads revocation files.
public struct RevocationFileReader: Sendable {
  /// The issuers' names, in the definitions' order.
  let issuers: [String]
  let clientIDs: [String: String]

  public init(issuers: [String], serviceTokens: [ServiceTokenDefinition]) {
    self.issuers = issuers
    clientIDs = Dictionary(serviceTokens.map { ($0.name, $0.clientID) }, uniquingKeysWith: { one, _ in one })
  }

  /// For the settings file that was read.
  public init(_ definitions: PolicyDefinitions) {
    self.init(issuers: definitions.issuers, serviceTokens: definitions.serviceTokens)
  }

  /// Reads the bytes of a file.
  public func read(_ bytes: [UInt8], limits: DocumentLimits = .revocation) -> FileReading<[Revocation]> {
    let document = DocumentReading.read(bytes, limits: limits)
    if document.isEmpty { return FileReading([], []) }
    guard let root = document.root else { return FileReading(nil, document.mistakes) }
    var check = ShapeCheck()
    if let list = root["revoked"], case .list(let elements) = list.content, elements.isEmpty, root.members.count == 1 {
      return FileReading([], document.mistakes)
    }
    check.check(root, Self.shape, key: nil)
    var mistakes = document.mistakes + check.mistakes
    var revocations: [Revocation] = []
    for element in root["revoked"]?.elements ?? [] {
      if let revocation = revocation(element, &mistakes) { revocations.append(revocation) }
    }
    return FileReading(revocations, mistakes)
  }

  private static let entry = RecordShape(
    fields: [
      .init("email", .email), .init("subject", .subject), .init("service_token", .someText), .init("nonce", .someText),
      .init("token_sha256", .digest), .init("issuer", .name), .init("issued_before", .time), .init("until", .time),
      .init("note", .anyText),
    ], exactlyOne: [["email", "subject", "service_token", "nonce", "token_sha256"]])

  static let shape = Shape.record(
    RecordShape(fields: [.init("revoked", .list(.record(entry)), isRequired: true)]))

  private func revocation(_ node: DocumentNode, _ mistakes: inout [FileMistake]) -> Revocation? {
    // One walk: a file may have 100,000 entries.
    var key: RevocationKey?
    var value: [UInt8] = []
    var issuer: Int?
    var issuedBefore: Double?
    var until: Double?
    for member in node.members {
      guard let text = member.value.text else { continue }
      switch member.key {
      case "issued_before": issuedBefore = Timestamp.seconds(text)
      case "until": until = Timestamp.seconds(text)
      case "issuer":
        issuer = issuers.firstIndex(of: text)
        if issuer == nil {
          mistakes.append(
            FileMistake(
              at: member.value.position, key: "issuer", value: text, allowed: issuers.joined(separator: ", ")))
        }
      default:
        guard let named = RevocationKey.allCases.first(where: { $0.name == member.key }) else { continue }
        key = named
        value = Array(text.utf8)
        if named == .serviceToken {
          if let id = clientIDs[text] {
            value = Array(id.utf8)
          } else if !ClientID.isClientID(text) {
            let near = nearestName(to: text, among: clientIDs.keys.sorted()).map { "; is \($0) meant?" } ?? ""
            mistakes.append(
              FileMistake(
                at: member.value.position, key: member.key, value: text,
                allowed: "a name under service_tokens or a Client ID" + near))
          }
        }
        if named == .tokenDigest { value = Self.bytes(ofHexadecimal: text) }
      }
    }
    return key.map { Revocation($0, value, issuer: issuer, issuedBefore: issuedBefore, until: until) }
  }

  private static func bytes(ofHexadecimal text: String) -> [UInt8] {
    let digits = text.utf8.map { ($0 & 0x0F) + ($0 >= 0x40 ? 9 : 0) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}
