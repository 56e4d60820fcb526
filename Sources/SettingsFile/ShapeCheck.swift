// Holds a document against a shape and says every mistake. What the names lead to is checked by the files' readers.

import Policy
import Wording

struct ShapeCheck {
  private(set) var mistakes: [FileMistake] = []

  /// Checks a node that stands under `key` (nil for a whole file).
  mutating func check(_ node: DocumentNode, _ shape: Shape, key: String?) {
    if case .refused = node.content { return }
    switch shape.kind {
    case .anything: break
    case .text: if let rule = shape.rule { checkText(node, rule, key) }
    case .either:
      if case .scalar = node.content {
        if let rule = shape.rule { checkText(node, rule, key) }
      } else {
        for other in shape.inner { check(node, other, key: key) }
      }
    case .list:
      guard case .list(let elements) = node.content else { return refuse(node, key, "a list: [one, two]") }
      if elements.isEmpty { refuse(node, key, "a list with at least one element, or no \(key ?? "list") at all") }
      for element in shape.inner { for node in elements { check(node, element, key: key) } }
    case .map:
      guard case .map(let members) = node.content else { return refuse(node, key, "a map: NAME: value") }
      if members.isEmpty { refuse(node, key, "a map with at least one member, or no \(key ?? "map") at all") }
      for member in members {
        if let names = shape.rule, !names.accepts(member.key) {
          refuse(member.keyPosition, key, member.key, names.allowed)
        }
        for values in shape.inner { check(member.value, values, key: member.key) }
      }
    case .record: if let record = shape.record { checkRecord(node, record, key) }
    }
  }

  private mutating func checkText(_ node: DocumentNode, _ rule: TextRule, _ key: String?) {
    guard let text = node.text else { return refuse(node, key, rule.allowed) }
    guard !rule.accepts(text) else { return }
    let near = nearestName(to: text, among: rule.words).map { "; is \($0) meant?" } ?? ""
    refuse(node.position, key, text, rule.allowed + near)
  }

  private mutating func checkRecord(_ node: DocumentNode, _ record: RecordShape, _ key: String?) {
    guard case .map(let members) = node.content else {
      return refuse(node, key, "a map with \(record.keys.joined(separator: ", "))")
    }
    if members.isEmpty { refuse(node, key, "a map with at least one of \(record.keys.joined(separator: ", "))") }
    for member in members {
      if let field = record.fields.first(where: { $0.key == member.key }) {
        check(member.value, field.shape, key: member.key)
      } else {
        let near = nearestName(to: member.key, among: record.keys)
        refuse(
          member.keyPosition, member.key, member.key,
          near.map { "\($0)?" } ?? "one of \(record.keys.joined(separator: ", "))")
      }
    }
    guard !members.isEmpty else { return }
    func isGiven(_ key: String) -> Bool { members.contains { $0.key == key } }
    for field in record.fields where field.isRequired && !isGiven(field.key) {
      refuse(node.position, field.key, "", "\(field.key), which is required here")
    }
    for keys in record.exactlyOne {
      let found = members.filter { keys.contains($0.key) }
      if found.isEmpty { refuse(node.position, key, "", "one of \(keys.joined(separator: ", "))") }
      for member in found.dropFirst() {
        refuse(member.keyPosition, member.key, member.key, "only one of \(keys.joined(separator: ", "))")
      }
    }
    for keys in record.atLeastOne where !keys.contains(where: isGiven) {
      refuse(node.position, key, "", "at least one of \(keys.joined(separator: ", "))")
    }
    for keys in record.atMostOne {
      for member in members.filter({ keys.contains($0.key) }).dropFirst() {
        refuse(member.keyPosition, member.key, member.key, "only one of \(keys.joined(separator: ", "))")
      }
    }
  }

  private mutating func refuse(_ node: DocumentNode, _ key: String?, _ allowed: String) {
    let value: String
    switch node.content {
    case .scalar(let text, _): value = text
    case .list(let elements): value = elements.isEmpty ? "[]" : "[...]"
    case .map(let members): value = members.isEmpty ? "{}" : "{...}"
    case .refused: return
    }
    refuse(node.position, key, value, allowed)
  }

  mutating func refuse(_ position: SourcePosition, _ key: String?, _ value: String, _ allowed: String) {
    mistakes.append(FileMistake(at: position, key: key, value: value, allowed: allowed))
  }
}
