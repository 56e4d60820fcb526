// Numbers: exact where time claims live, and no trap anywhere else.

import Testing
import Token

@Suite struct JSONNumberTests {
  static func number(_ text: String) -> Double? {
    var document = JSONDocument(nodeCapacity: 2)
    let bytes = Array(text.utf8)
    guard document.parse(bytes.span), let root = document.root else {
      Issue.record("\(text) is no JSON number")
      return nil
    }
    return root.number(in: bytes.span)
  }

  static let zeros = String(repeating: "0", count: 5000)
  static let nines = String(repeating: "9", count: 5000)

  @Test(
    arguments: [
      ("0", 0), ("-0", 0), ("0.0", 0), ("0e999999999999999999999", 0), ("1", 1), ("-1", -1), ("10", 10),
      ("100200", 100_200),
      ("1e3", 1000), ("1E+3", 1000), ("1.7e9", 1_700_000_000), ("17e8", 1_700_000_000), ("1700000000.0", 1_700_000_000),
      ("1700000000.5", 1_700_000_000.5), ("17000000005e-1", 1_700_000_000.5), ("0.5", 0.5), ("0.25", 0.25),
      ("0.001", 0.001),
      ("9007199254740991", 9_007_199_254_740_991), ("9007199254740992", 9_007_199_254_740_992),
      ("9007199254740991.0000", 9_007_199_254_740_991), ("90071992547409910e-1", 9_007_199_254_740_991),
      ("1\(zeros)e-5000", 1), ("0.\(zeros)1e5001", 1), ("1700000000.\(zeros)", 1_700_000_000), ("1e22", 1e22),
      ("1e-400", 0), ("1e-9999999999999999999999", 0), ("1.0\(zeros)1", 1),
    ] as [(String, Double)])
  func `a number has its exact value`(text: String, value: Double) {
    #expect(Self.number(text) == value)
  }

  @Test(arguments: [
    "1e400", "-1e400", "1e99999999999999999999999999", nines, "-\(nines)", "1\(zeros)", "\(nines)e99999", "1e309",
  ])
  func `a magnitude that no Double holds is nil and no trap`(text: String) {
    #expect(Self.number(text) == nil)
  }

  @Test(arguments: [
    "3.141592653589793", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324",
    "123456789012345678901234567890",
    "0.1", "1e23", "8.41e21", "9223372036854775808", "18446744073709551616", "1.00000000000000000000000000001",
    "1234567890123456789.5", "1000000000000000000000000000001", "7e-7", "123e-40", "99999999999999999999e-5",
  ])
  func `any other number is within a few units in the last place`(text: String) throws {
    let expected = try #require(Double(text))
    let number = try #require(Self.number(text))
    #expect(abs(number - expected) <= 16 * expected.ulp, "\(number)")
  }

  @Test func `a number of any length is read to its last digit and not past it`() throws {
    for count in 0..<60 {
      let zeros = String(repeating: "0", count: count)
      let nines = String(repeating: "9", count: count)
      for text in [
        "1\(zeros)", "1.5\(zeros)", "0.\(zeros)5", "1\(nines)", "1.\(nines)5", "12345678901234567890\(zeros)",
        "1234567890123456789.5\(zeros)", "1\(zeros).5", "1\(nines)e-\(count)", "7\(zeros)e1", "-1\(zeros)1",
      ] {
        let expected = try #require(Double(text))
        let number = try #require(Self.number(text))
        #expect(abs(number - expected) <= 16 * expected.ulp, "\(text)")
      }
    }
  }

  @Test func `what is no number has no value`() {
    for text in [#""1""#, "null", "true", "[1]", "{}"] { #expect(Self.number(text) == nil) }
  }
}
