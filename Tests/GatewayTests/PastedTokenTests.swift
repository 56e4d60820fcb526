// What people paste for a token.

import Testing

@testable import Gateway

@Test(
  arguments: [
    "a.b.c", " a.b.c\r\n", "\"a.b.c\"", "'a.b.c'", "Bearer a.b.c", "bearer  a.b.c", "Authorization: Bearer a.b.c",
    "Cf-Access-Jwt-Assertion: a.b.c", "cf-access-jwt-assertion:a.b.c\n", "'Cf-Access-Jwt-Assertion: a.b.c'",
    "Cookie: CF_Authorization=a.b.c", "cookie: x=y; CF_Authorization=a.b.c; z=1", "CF_Authorization=a.b.c",
    "CF_Authorization=\"a.b.c\"; path=/", "\"cf-access-jwt-assertion: a.b.c\",",
  ] as [String]) func `the token is found in what people paste`(_ text: String)
{
  let found = PastedToken.find(in: Array(text.utf8))
  #expect(String(decoding: found, as: UTF8.self).hasPrefix("a.b.c"))
  #expect(found.count == 5 || text.hasSuffix(","))
}

@Test(arguments: ["", "a.b.c d", "x=y; z=1", "Basic a.b.c", "a.b.c,a.b.c", "Bearera.b.c", "é"])
func `what is none of these stays as it is`(_ text: String) {
  #expect(String(decoding: PastedToken.find(in: Array(text.utf8)), as: UTF8.self) == text)
}
