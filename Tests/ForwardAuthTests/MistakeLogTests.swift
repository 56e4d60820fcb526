// What a proxy's mistaken address is told to become.

import Testing

@testable import ForwardAuth

@Suite struct MistakeLogTests {
  @Test(arguments: [
    ("/", "ask for /auth/<audience>"), ("/auth", "ask for /auth/<audience>"), ("/verify/x", "ask for /auth/<audience>"),
    ("*", "ask for /auth/<audience>"), ("/auth/", "write the application's AUD tag behind"),
    ("/auth/?x", "write the application's AUD tag behind"), ("/auth//x", "write the application's AUD tag behind"),
    ("/auth/<aud1>", "in place of a placeholder"), ("/auth/{aud1}", "in place of a placeholder"),
    ("/auth/${AUD}", "in place of a placeholder"), ("/auth/%3Caud%3E", "in place of a placeholder"),
    ("/auth/a!b", "1 to 128 of"), ("/auth/" + String(repeating: "a", count: 129), "1 to 128 of"),
  ])
  func `a target that asks about no audience is told what to change`(target: String, advice: String) {
    #expect(MistakeLog.advice(Array(target.utf8).span).contains(advice))
  }
}
