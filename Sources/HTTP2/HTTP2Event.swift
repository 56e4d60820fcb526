// What a connection tells its caller.

import HTTPSyntax

/// What `HTTP2Connection.receive` has come to.
public enum HTTP2Event: Equatable, Sendable {
  /// All bytes are consumed. Send what is on the wire's buffer, and read on unless `isOver`.
  case needsMore
  /// A request's head is complete and good: it is in the `RequestHead` given, over `HTTP2Scratch.headBytes`. Answer it with
  /// `respond`, or let it wait with `hold`, before the next call.
  case head(stream: Int32)
  /// A request that is no HTTP that we accept: answer it with `respond(…, refusal:)`. Other streams go on.
  case refused(stream: Int32, Refusal)
  /// The connection ends: send what is on the wire's buffer and close. `failure` and `goAwayCode` say why.
  case over
}
