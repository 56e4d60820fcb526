// Bytes of a settings file → what it says, or every mistake. The shape's mistakes first; what names lead to, and what
// does not go together, is checked here. Nothing touches a disk.

import Policy
import Wording

/// Reads settings files.
public struct SettingsFileReader: Sendable {
  private let shape: Shape

  /// - Parameter settings: what the file may hold at its top beside its own parts.
  public init(settings: [KnownSetting]) { shape = SettingsFileShape.file(settings) }

  /// Reads the bytes of a file.
  public func read(_ bytes: [UInt8], limits: DocumentLimits = .settings) -> FileReading<FileContents> {
    let document = DocumentReading.read(bytes, limits: limits)
    guard let root = document.root else {
      let empty = FileMistake(at: .start, key: nil, value: "", allowed: "a file that is not empty")
      return FileReading(nil, document.mistakes.isEmpty ? [empty] : document.mistakes)
    }
    var check = ShapeCheck()
    check.check(root, shape, key: nil)
    var extraction = SettingsFileExtraction(root)
    let contents = extraction.contents()
    var mistakes = document.mistakes + check.mistakes + extraction.mistakes
    // Cycles and bounds; what it says about single values has been said above.
    if mistakes.isEmpty, let policies = contents.policies {
      do throws(CompileError) {
        _ = try policies.compile()
      } catch {
        mistakes.append(FileMistake(at: error.position, key: error.key, value: error.value, allowed: error.allowed))
      }
    }
    return FileReading(contents, mistakes)
  }

  /// The JSON Schema (draft 2020-12) of the file.
  public var jsonSchema: String { JSONSchema.text(of: shape, title: "access-gateway settings") }
}

/// Takes values out of a tree, as far as they are there: a mistake of the shape must not hide those of the rest.
struct SettingsFileExtraction {
  private let root: DocumentNode
  private(set) var mistakes: [FileMistake] = []
  private var issuerNames: [String] = ["default"]
  private var groupNames: [String] = []
  private var serviceTokenNames: [String] = []

  init(_ root: DocumentNode) { self.root = root }

  mutating func contents() -> FileContents {
    let issuers = (root["issuers"]?.members ?? []).map { member in
      IssuerSection(
        name: member.key, position: member.keyPosition,
        settings: settings(member.value.members))
    }
    if !issuers.isEmpty { issuerNames = issuers.map(\.name) }
    let own = Set(SettingsFileShape.ownKeys).subtracting(["metadata", "trusted_proxies", "decision_log"])
    let applications = root.members.first { $0.key == "applications" }
    if let applications, root["version"] == nil {
      refuse(applications.keyPosition, "version", "", "version: 1, which a file with applications needs")
    }
    let policies = policies()
    return FileContents(
      settings: settings(root.members.filter { !own.contains($0.key) }), issuers: issuers,
      policies: applications == nil ? nil : policies,
      revocationFile: root["revocation"]?["file"].flatMap { node in node.text.map { Positioned($0, at: node.position) }
      },
      tests: root["tests"]?.positionedTexts ?? [])
  }

  private func settings(_ members: [DocumentMember]) -> [String: FileSetting] {
    var settings: [String: FileSetting] = [:]
    for member in members {
      var isList = false
      if case .list = member.value.content { isList = true }
      settings[member.key] = FileSetting(
        values: (isList
          ? member.value.positionedTexts : member.value.text.map { [Positioned($0, at: member.value.position)] } ?? [])
          .map { Positioned(trimmed($0.value), at: $0.position) },
        isList: isList, keyPosition: member.keyPosition)
    }
    return settings
  }

  private mutating func policies() -> PolicyDefinitions {
    var definitions = PolicyDefinitions(issuers: issuerNames)
    definitions.serviceTokens = (root["service_tokens"]?.members ?? []).compactMap { member in
      member.value.text.map { ServiceTokenDefinition(name: member.key, clientID: $0, at: member.keyPosition) }
    }
    serviceTokenNames = (root["service_tokens"]?.members ?? []).map(\.key)
    let groups = root["groups"]?.members ?? []
    groupNames = groups.map(\.key)
    for member in groups {
      definitions.groups.append(
        GroupDefinition(name: member.key, who: selectors(of: member.value), at: member.keyPosition))
    }
    definitions.headers = headers(root["headers"])
    if root["metadata"]?.text == MetadataFamily.request.name { definitions.metadata = .request }
    if let trusted = root["trusted_proxies"]?.texts, !trusted.isEmpty { definitions.trustedProxies = trusted }
    for member in root["applications"]?.members ?? [] { definitions.applications.append(application(member)) }
    checkAudiences(definitions.applications)
    return definitions
  }

  // MARK: - Applications

  private mutating func application(_ member: DocumentMember) -> ApplicationDefinition {
    let node = member.value
    var application = ApplicationDefinition(
      name: member.key, audiences: node["audience"]?.text.map { [$0] } ?? node["audiences"]?.texts ?? [],
      hosts: node["hosts"]?.positionedTexts ?? [], allowsPreflight: node["preflight"]?.text == "allow",
      isReport: node["mode"]?.text == "report", headers: headers(node["headers"]), at: member.keyPosition)
    for (index, element) in (node["audiences"]?.elements ?? []).enumerated() {
      guard let audience = element.text, application.audiences.prefix(index).contains(audience) else { continue }
      refuse(element.position, "audiences", audience, "each audience once")
    }
    switch node["metadata"]?.text {
    case MetadataFamily.forwarded.name: application.metadata = .forwarded
    case MetadataFamily.request.name: application.metadata = .request
    default: break
    }
    if let issuer = node["issuer"], let name = issuer.text {
      if let place = issuerNames.firstIndex(of: name) {
        application.issuer = place
      } else {
        refuseName(issuer.position, "issuer", name, issuerNames, "issuers")
      }
    } else if issuerNames.count > 1 {
      refuse(member.keyPosition, "issuer", "", "one of \(issuerNames.joined(separator: ", ")), for there are several")
    }
    if let policies = node["policies"] {
      var names: Set<String> = []
      application.policies = policies.elements.map { element in
        if let name = element["name"], let text = name.text, !names.insert(text).inserted {
          refuse(name.position, "name", text, "a name of its own in its application")
        }
        return policy(element)
      }
    }
    return application
  }

  private mutating func checkAudiences(_ applications: [ApplicationDefinition]) {
    struct Use: Hashable {
      let issuer: Int
      let audience: String
    }
    var uses: [Use: String] = [:]
    var owners: [String: String] = [:]
    for application in applications {
      for audience in Set(application.audiences).sorted() {
        let use = Use(issuer: application.issuer, audience: audience)
        if let other = uses[use] {
          refuse(
            application.position, "audiences", audience, "an audience that \(other) does not have under the same issuer"
          )
        }
        uses[use] = application.name
        if audience != application.name { owners[audience] = application.name }
      }
    }
    for application in applications {
      if let owner = owners[application.name], owner != application.name {
        refuse(application.position, "applications", application.name, "a name that is no audience of \(owner)")
      }
    }
  }

  // MARK: - Policies

  private mutating func policy(_ node: DocumentNode) -> PolicyDefinition {
    let action = PolicyAction.allCases.first { $0.name == node["action"]?.text } ?? .deny
    let match = node["match"]
    let policy = PolicyDefinition(
      name: node["name"]?.text ?? "", action: action, isReport: node["mode"]?.text == "report",
      match: MatchDefinition(
        methods: match?["methods"]?.texts ?? [], paths: match?["paths"]?.texts ?? [],
        hosts: match?["hosts"]?.texts ?? [], clientAddresses: match?["client_ip"]?.texts ?? []),
      who: selectors(of: node), at: node.position)
    guard node["action"]?.text == action.name else { return policy }
    if let mode = node["mode"], mode.text == "report", action != .deny {
      refuse(mode.position, "mode", "report", "enforce; report is for a deny and for a whole application")
    }
    switch action {
    case .deny: break
    case .allow, .serviceAuth:
      if node["include"] == nil {
        refuse(node.position, "include", "", "who is let in; everyone: true for all")
      }
    case .bypass:
      for member in node.members where ["include", "require", "exclude"].contains(member.key) {
        let isEveryone =
          member.key == "include" && member.value.members.count == 1 && member.value["everyone"]?.text == "true"
        if !isEveryone {
          refuse(
            member.keyPosition, member.key, member.key,
            "a bypass without selectors, for it looks at no token; match says when")
        }
      }
    }
    return policy
  }

  private mutating func selectors(of node: DocumentNode) -> SelectorsDefinition {
    SelectorsDefinition(
      include: selectors(node["include"]), require: selectors(node["require"]), exclude: selectors(node["exclude"]))
  }

  private mutating func selectors(_ node: DocumentNode?) -> [SelectorDefinition] {
    var list: [SelectorDefinition] = []
    for member in node?.members ?? [] {
      guard let kind = SelectorKind.allCases.first(where: { $0.key == member.key }) else { continue }
      if kind == .claim {
        for claim in member.value.members {
          list.append(
            SelectorDefinition(kind, claimPath: claim.key, values: claim.value.texts, at: claim.keyPosition))
        }
        continue
      }
      let texts = member.value.positionedTexts
      let known = kind == .groups ? groupNames : kind == .serviceTokens ? serviceTokenNames : nil
      for text in texts {
        guard let known, !known.contains(text.value) else { continue }
        refuseName(text.position, kind.key, text.value, known, kind.key)
      }
      list.append(SelectorDefinition(kind, values: texts.map(\.value), at: member.keyPosition))
    }
    return list
  }

  private mutating func headers(_ node: DocumentNode?) -> [HeaderDefinition] {
    var names: Set<String> = []
    return (node?.members ?? []).compactMap { member in
      if !names.insert(member.key.lowercased()).inserted {
        refuse(member.keyPosition, "headers", member.key, "each header once, whatever its case")
      }
      if let claim = member.value["claim"]?.text {
        return HeaderDefinition(name: member.key, content: .claim(path: claim, join: member.value["join"]?.text))
      }
      return member.value["value"]?.text.map { HeaderDefinition(name: member.key, content: .value($0)) }
    }
  }

  // MARK: - Mistakes

  private mutating func refuseName(
    _ position: SourcePosition, _ key: String, _ name: String, _ known: [String], _ place: String
  ) {
    let near = nearestName(to: name, among: known).map { "; is \($0) meant?" } ?? ""
    let shown = known.prefix(8).joined(separator: ", ") + (known.count > 8 ? ", ..." : "")
    refuse(
      position, key, name,
      known.isEmpty ? "a name under \(place), and there is none" : "a name under \(place): \(shown)\(near)")
  }

  private mutating func refuse(_ position: SourcePosition, _ key: String, _ value: String, _ allowed: String) {
    mistakes.append(FileMistake(at: position, key: key, value: value, allowed: allowed))
  }
}

/// Without spaces and tabs at both ends.
private func trimmed(_ text: String) -> String {
  var bytes = text.utf8[...]
  while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
  while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
  return String(Substring(bytes))
}

extension DocumentNode {
  /// The texts of a list's scalars.
  var texts: [String] { elements.compactMap(\.text) }

  /// The texts of a list's scalars with their places.
  var positionedTexts: [Positioned<String>] {
    elements.compactMap { node in node.text.map { Positioned($0, at: node.position) } }
  }
}
