// What people paste for a token.

import Testing

@testable import Gateway

@Test(arguments: [
  ("a.b.c", "a.b.c"), (" a.b.c\r\n", "a.b.c"), ("Cf-Access-Jwt-Assertion: a.b.c", "a.b.c"),
  ("cf-access-jwt-assertion:a.b.c\n", "a.b.c"), ("Cookie: x=y; CF_Authorization=a.b.c; z=1", "a.b.c"),
  ("CF_Authorization=a.b.c", "a.b.c"), ("x=y;CF_Authorization=a.b.c", "a.b.c"),
  ("Set-Cookie: CF_Authorization=a.b.c; Path=/; Secure", "a.b.c"), ("Bearer a.b.c", "a.b.c"),
  ("bearer  a.b.c", "a.b.c"),
  ("Authorization: Bearer a.b.c", "a.b.c"), ("\"a.b.c\"", "a.b.c"), ("'a.b.c'", "a.b.c"), ("`a.b.c`", "a.b.c"),
  ("-H 'Cf-Access-Jwt-Assertion: a.b.c'", "a.b.c"), ("--cookie \"CF_Authorization=a.b.c\"", "a.b.c"),
  ("\"CF_Authorization\"", "CF_Authorization"), ("", ""), (" ", ""), ("\"", "\""), ("a b", "a b"), ("Bearer", "Bearer"),
  ("cf_authorization=a.b.c", "cf_authorization=a.b.c"), ("\"a.b.c", "\"a.b.c"), ("CF_Authorization=", ""),
  ("CF_Authorization=\"a.b.c\"", "a.b.c"),
]) func `the token is found in what people paste`(_ pasted: String, _ token: String) {
  #expect(String(decoding: PastedToken.token(in: Array(pasted.utf8)), as: UTF8.self) == token)
}
