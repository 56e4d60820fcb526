// Which header lines say what the original request was, for applications with policies (POLICIES.md, "What is known of
// the original request"). What they mean is the Policy room's to say.

import HTTPSyntax
import Policy

extension RequestFacts {
  private static let forwardedMethodField: FieldName = "x-forwarded-method"
  private static let forwardedHostField: FieldName = "x-forwarded-host"
  private static let forwardedURIField: FieldName = "x-forwarded-uri"
  private static let forwardedForField: FieldName = "x-forwarded-for"
  private static let hostField: FieldName = "host"
  private static let connectingAddressField: FieldName = "cf-connecting-ip"
  private static let rayField: FieldName = "cf-ray"
  private static let originField: FieldName = "origin"
  private static let requestedMethodField: FieldName = "access-control-request-method"

  /// The fields of one family; a field of the other is never looked at in its place, for then a client could choose.
  ///
  /// - Parameter segment: the last one of `/auth/<segment>`, behind which an original path may stand.
  init(
    _ family: MetadataFamily, _ head: borrowing RequestHead, _ bytes: Span<UInt8>, behind segment: Range<Int>
  ) {
    self.init()
    switch family {
    case .forwarded:
      method = Self.fact(Self.forwardedMethodField, head, bytes)
      host = Self.fact(Self.forwardedHostField, head, bytes)
      target = Self.fact(Self.forwardedURIField, head, bytes)
    case .request:
      method = RequestFact(head.method)
      host = Self.fact(Self.hostField, head, bytes)
      target = RequestFact(segment.upperBound..<head.target.upperBound)
    }
    forwardedFor = Self.fact(Self.forwardedForField, head, bytes)
    cameThroughCloudflare =
      head.firstIndex(of: Self.connectingAddressField, in: bytes) != nil
      || head.firstIndex(of: Self.rayField, in: bytes) != nil
    hasPreflightFields =
      head.firstIndex(of: Self.originField, in: bytes) != nil
      && head.firstIndex(of: Self.requestedMethodField, in: bytes) != nil
  }

  private static func fact(_ name: FieldName, _ head: borrowing RequestHead, _ bytes: Span<UInt8>) -> RequestFact {
    switch head.value(of: name, in: bytes) {
    case .none: .missing
    case .several: .doubled
    case .one(let range): RequestFact(range)
    }
  }
}
