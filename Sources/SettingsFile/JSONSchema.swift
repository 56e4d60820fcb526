// Shapes as JSON Schema (draft 2020-12), for editors. An editor types scalars before it checks them, so a text that may
// look like a number or a switch is allowed as such. What names lead to is beyond a schema: only the reader tells.

enum JSONSchema {
  static func text(of shape: Shape, title: String) -> String {
    var writer = JSONWriter()
    writer.object {
      $0.member("$schema", "https://json-schema.org/draft/2020-12/schema")
      $0.member("title", title)
      body(shape, &$0)
    }
    return writer.text + "\n"
  }

  private static func body(_ shape: Shape, _ writer: inout JSONWriter) {
    switch shape.kind {
    case .anything: break
    case .text: if let rule = shape.rule { text(rule, &writer) }
    case .either:
      writer.name("anyOf")
      writer.array { writer in
        if let rule = shape.rule { writer.object { text(rule, &$0) } }
        for other in shape.inner { writer.object { body(other, &$0) } }
      }
    case .list:
      writer.member("type", "array")
      writer.member("minItems", 1)
      writer.name("items")
      writer.object { writer in for element in shape.inner { body(element, &writer) } }
    case .map:
      writer.member("type", "object")
      writer.member("minProperties", 1)
      writer.name("propertyNames")
      writer.object { writer in if let rule = shape.rule { text(rule, &writer, isName: true) } }
      writer.name("additionalProperties")
      writer.object { writer in for values in shape.inner { body(values, &writer) } }
    case .record: if let record = shape.record { self.record(record, &writer) }
    }
  }

  private static func record(_ record: RecordShape, _ writer: inout JSONWriter) {
    writer.member("type", "object")
    writer.member("minProperties", 1)
    writer.member("additionalProperties", false)
    writer.name("properties")
    writer.object { writer in
      for field in record.fields {
        writer.name(field.key)
        writer.object { body(field.shape, &$0) }
      }
    }
    let required = record.fields.filter(\.isRequired).map(\.key)
    if !required.isEmpty { writer.member("required", required) }
    let atMost = record.atMostOne + record.exactlyOne
    let atLeast = record.atLeastOne + record.exactlyOne
    guard !atMost.isEmpty || !atLeast.isEmpty else { return }
    writer.name("allOf")
    writer.array { writer in
      for keys in atLeast {
        writer.object {
          $0.name("anyOf")
          $0.array { writer in for key in keys { writer.object { $0.member("required", [key]) } } }
        }
      }
      for keys in atMost {
        for (index, one) in keys.enumerated() {
          for other in keys[(index + 1)...] {
            writer.object {
              $0.name("not")
              $0.object { $0.member("required", [one, other]) }
            }
          }
        }
      }
    }
  }

  private static func text(_ rule: TextRule, _ writer: inout JSONWriter, isName: Bool = false) {
    writer.member("description", rule.allowed)
    if !rule.words.isEmpty {
      writer.name("enum")
      writer.array { writer in
        for word in rule.words {
          writer.string(word)
          // `version: 1` and `everyone: true` without quotes.
          if word == "true" || word == "false" || word.utf8.allSatisfy(isDigit) { writer.literal(word) }
        }
      }
      return
    }
    if !isName {
      if rule.mayBeTyped {
        writer.member("type", ["string", "number", "boolean"])
      } else {
        writer.member("type", "string")
      }
    }
    if let pattern = rule.pattern { writer.member("pattern", pattern) }
  }
}

/// Writes indented JSON.
struct JSONWriter {
  private(set) var text = ""
  private var indentation = 0
  private var isFirst = true
  private var isBehindName = false

  mutating func object(_ body: (inout JSONWriter) -> Void) { container("{", "}", body) }
  mutating func array(_ body: (inout JSONWriter) -> Void) { container("[", "]", body) }

  mutating func name(_ name: String) {
    string(name)
    text += ": "
    isBehindName = true
  }

  mutating func member(_ name: String, _ value: String) {
    self.name(name)
    string(value)
  }

  mutating func member(_ name: String, _ value: Int) {
    self.name(name)
    literal(String(value))
  }

  mutating func member(_ name: String, _ value: Bool) {
    self.name(name)
    literal(value ? "true" : "false")
  }

  mutating func member(_ name: String, _ values: [String]) {
    self.name(name)
    array { writer in for value in values { writer.string(value) } }
  }

  /// `true`, `false`, a number.
  mutating func literal(_ value: String) {
    separate()
    text += value
  }

  mutating func string(_ value: String) {
    separate()
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\" + String(scalar)
      case " "..."~": text.unicodeScalars.append(scalar)
      case "\u{0}"..."\u{1F}", "\u{7F}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  private mutating func container(_ open: String, _ close: String, _ body: (inout JSONWriter) -> Void) {
    separate()
    text += open
    indentation += 2
    isFirst = true
    body(&self)
    indentation -= 2
    if !isFirst { text += "\n" + String(repeating: " ", count: indentation) }
    text += close
    isFirst = false
  }

  private mutating func separate() {
    if isBehindName {
      isBehindName = false
      return
    }
    guard indentation > 0 else { return }
    if !isFirst { text += "," }
    text += "\n" + String(repeating: " ", count: indentation)
    isFirst = false
  }
}
