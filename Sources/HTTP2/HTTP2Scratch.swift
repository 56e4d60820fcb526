// What the connections of one loop share.

import HTTPSyntax

/// What the connections of one loop share. Its memory is used anew for each head and reply.
@safe public final class HTTP2Scratch {
  /// Owned. Behind a pointer, because a class's property checks each access at run time, three times a field.
  private let storage: UnsafeMutablePointer<DecodedFields>
  let reply = ReplyFields()

  /// For one loop; about 10 KiB.
  public init() {
    unsafe storage = .allocate(capacity: 1)
    unsafe storage.initialize(to: DecodedFields())
  }

  deinit {
    unsafe storage.deinitialize(count: 1)
    unsafe storage.deallocate()
  }

  /// Safe: no access to it spans a call that could come back here. The engine's callbacks run one by one, and what they
  /// call is DecodedFields alone.
  var fields: DecodedFields {
    _read { yield unsafe storage.pointee }
    _modify { yield &(unsafe storage.pointee) }
  }

  /// The head that `HTTP2Event.head` has told of, as `DecodedFields` has written it: the bytes that the ranges of its
  /// `RequestHead` name. Good until the next call of `receive` for any connection of the loop.
  public var headBytes: [UInt8] { fields.bytes }
}
