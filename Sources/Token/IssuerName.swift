// What an issuer's name tells about its rules.

/// The name of an issuer, as in `iss`.
public enum IssuerName {
  /// Whether it is a team of Cloudflare Access, for which stricter rules hold: its name ends in `.cloudflareaccess.com`.
  /// A slash behind that is somebody's slip in a setting, and loosens nothing.
  public static func isCloudflare(_ issuer: some BidirectionalCollection<UInt8>) -> Bool {
    let name = issuer.last == UInt8(ascii: "/") ? issuer.dropLast() : issuer[...]
    let suffix = ".cloudflareaccess.com".utf8
    return name.count > suffix.count && name.suffix(suffix.count).elementsEqual(suffix)
  }
}
