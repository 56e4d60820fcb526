// What single selectors, groups and conditions of `match` say, in three values. How a policy reads them is in
// Evaluation.swift. Nothing here allocates.

extension PolicySet {
  // MARK: - Who

  /// Whether one of the selectors holds; ends early at `stopAt` or more.
  func any(_ run: Run, _ identity: Span<UInt8>, stopAt: Ternary) -> Ternary {
    var result = Ternary.no
    for index in run.range {
      result = result.or(holds(selectors[index], identity))
      if result.rawValue >= stopAt.rawValue { break }
    }
    return result
  }

  /// Whether all of the selectors hold; yes where there are none.
  func all(_ run: Run, _ identity: Span<UInt8>) -> Ternary {
    var result = Ternary.yes
    for index in run.range {
      result = result.and(holds(selectors[index], identity))
      if result == .no { break }
    }
    return result
  }

  /// Whether a group holds, in three values: one of `include`, all of `require`, none of `exclude`.
  func holds(group: Int, _ identity: Span<UInt8>) -> Ternary {
    let who = groups[group]
    let included = any(who.include, identity, stopAt: .yes)
    guard included != .no else { return .no }
    let required = included.and(all(who.require, identity))
    guard required != .no else { return .no }
    return required.and(any(who.exclude, identity, stopAt: .yes).negated)
  }

  /// What one selector says about an identity.
  func holds(_ selector: Selector, _ identity: Span<UInt8>) -> Ternary {
    switch selector.kind {
    case .everyone: return .yes
    case .emails: return person(selector, .email, identity, ignoringCase: true)
    case .countries: return person(selector, .country, identity)
    case .subjects: return person(selector, .subject, identity)
    case .emailDomains:
      guard IdentityRecord.isPerson(identity) else { return .no }
      guard let email = IdentityRecord.range(of: .email, in: identity) else { return .unknown }
      for index in email where identity[index] == UInt8(ascii: "@") {
        return Ternary(texts.contains(selector.values, identity, index + 1..<email.upperBound, ignoringCase: true))
      }
      return .unknown
    case .serviceTokens, .anyValidServiceToken, .commonNames:
      guard !IdentityRecord.isPerson(identity) else { return .no }
      guard let name = IdentityRecord.range(of: .commonName, in: identity) else { return .unknown }
      // A certificate's name is whatever its authority signed: it never counts as a service token's.
      guard ClientID.isClientID(identity, name) == (selector.kind != .commonNames) else { return .no }
      return Ternary(selector.kind == .anyValidServiceToken || texts.contains(selector.values, identity, name))
    case .claim:
      guard let value = IdentityRecord.value(Int(selector.slot), in: identity) else { return .unknown }
      return claim(selector, identity, value)
    case .groups:
      var result = Ternary.no
      for index in selector.groups.range {
        result = result.or(holds(group: Int(groupIndexes[index]), identity))
        if result == .yes { break }
      }
      return result
    }
  }

  /// A selector of people's data: no for a machine, unknown where the token has none.
  private func person(
    _ selector: Selector, _ text: IdentityRecord.Text, _ identity: Span<UInt8>, ignoringCase: Bool = false
  ) -> Ternary {
    guard IdentityRecord.isPerson(identity) else { return .no }
    guard let range = IdentityRecord.range(of: text, in: identity) else { return .unknown }
    return Ternary(texts.contains(selector.values, identity, range, ignoringCase: ignoringCase))
  }

  private func claim(_ selector: Selector, _ identity: Span<UInt8>, _ at: Int) -> Ternary {
    guard IdentityRecord.Tag(rawValue: identity[at]) == .array else { return scalar(selector, identity, at) }
    var result = Ternary.no
    var member = at + 3
    for _ in 0..<IdentityRecord.number16(identity, at + 1) {
      result = result.or(scalar(selector, identity, member))
      if result == .yes { break }
      member = IdentityRecord.next(identity, member)
    }
    return result
  }

  private func scalar(_ selector: Selector, _ identity: Span<UInt8>, _ at: Int) -> Ternary {
    switch IdentityRecord.Tag(rawValue: identity[at]) {
    case .text: Ternary(texts.contains(selector.values, identity, IdentityRecord.text(identity, at)))
    case .number: Ternary(texts.contains(selector.numbers, identity, IdentityRecord.canonical(identity, at)))
    case .yes: Ternary(selector.hasTrue)
    case .no: Ternary(selector.hasFalse)
    case .other, .cut, .array, nil: .unknown
    }
  }

  // MARK: - Match

  /// Whether a policy's `match` holds: all that are given; a definite no wins over something missing.
  func matches(_ policy: Policy, _ request: OriginalRequest, _ source: Span<UInt8>) -> Ternary {
    var result = Ternary.yes
    if !policy.methods.isEmpty { result = result.and(holds(methods: policy.methods, request, source)) }
    if result != .no, !policy.hosts.isEmpty { result = result.and(holds(policy.hosts, request, source)) }
    if result != .no, !policy.paths.isEmpty { result = result.and(holds(paths: policy.paths, request, source)) }
    if result != .no, !policy.networks.isEmpty { result = result.and(holds(networks: policy.networks, request)) }
    return result
  }

  func holds(methods: TextSet, _ request: OriginalRequest, _ source: Span<UInt8>) -> Ternary {
    guard let method = request.method.range else { return .unknown }
    return Ternary(texts.contains(methods, source, method))
  }

  func holds(_ hosts: HostSet, _ request: OriginalRequest, _ source: Span<UInt8>) -> Ternary {
    guard let host = request.host.range else { return .unknown }
    if !hosts.exact.isEmpty, texts.contains(hosts.exact, source, host, ignoringCase: true) { return .yes }
    guard !hosts.wildcards.isEmpty, let rest = HostName.behindFirstLabel(source, host) else { return .no }
    return Ternary(texts.contains(hosts.wildcards, source, rest, ignoringCase: true))
  }

  func holds(paths: Run, _ request: OriginalRequest, _ source: Span<UInt8>) -> Ternary {
    // A hostile path is denied before any policy is asked.
    guard case .clean(let start, let end, let hasEscapes) = request.path else { return .unknown }
    let path = Int(start)..<Int(end)
    for index in paths.range where pathPatterns[index].matches(texts, source, path, hasEscapes: hasEscapes) {
      return .yes
    }
    return .no
  }

  func holds(networks run: Run, _ request: OriginalRequest) -> Ternary {
    switch request.client {
    case .missing: return .unknown
    case .throughCloudflare: return .no
    case .address(let address):
      for index in run.range where networks[index].contains(address) { return .yes }
      return .no
    }
  }
}

/// The shape of a service token's Client ID.
public enum ClientID {
  /// Whether the bytes are 32 hexadecimal digits and `.access`, with nothing or `.` and a domain behind.
  public static func isClientID(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
    guard range.count >= 39 else { return false }
    for index in range.lowerBound..<range.lowerBound + 32 where hexadecimalValue(bytes[index]) == 16 { return false }
    guard equals(bytes, range.lowerBound + 32..<range.lowerBound + 39, ".access") else { return false }
    // Labels of letters, digits, `-` and `_`, none of them empty.
    var isLabelEmpty = false
    for index in range.dropFirst(39) {
      let byte = bytes[index]
      if byte == UInt8(ascii: ".") {
        if isLabelEmpty { return false }
        isLabelEmpty = true
      } else {
        guard index > range.lowerBound + 39, isLetter(byte) || isDigit(byte) || byte == 0x2D || byte == 0x5F else {
          return false
        }
        isLabelEmpty = false
      }
    }
    return !isLabelEmpty
  }

  /// The same for a text.
  public static func isClientID(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    return isClientID(bytes.span, 0..<bytes.count)
  }
}
