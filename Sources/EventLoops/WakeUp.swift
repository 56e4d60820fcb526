// How other threads reach a loop: an eventfd to wake it, a mailbox to say something.

import CEvent
import Glibc
import POSIX

/// Wakes a loop from any thread. Several notifications before the loop runs are one call.
public final class WakeUp: Sendable {
  private let descriptor: Int32

  public init() throws(SystemError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
    guard descriptor >= 0 else { throw SystemError("eventfd") }
  }

  deinit { close(descriptor) }

  /// From any thread. Never blocks: a full counter means that the loop is already called.
  public func notify() { _ = eventfd_write(descriptor, 1) }

  /// Ties the wake-up to a loop; `action` runs on the loop's thread while the attachment lives.
  public func attach(to loop: EventLoop, _ action: @escaping () -> Void) -> Attachment {
    let descriptor = descriptor
    return Attachment(
      watch: DescriptorWatch(descriptor, for: EV_READ, on: loop) {
        var count: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &count)
        action()
      }, wakeUp: self)
  }

  /// Keeps an attached action alive; dropping it detaches.
  public final class Attachment {
    private let watch: DescriptorWatch
    private let wakeUp: WakeUp

    init(watch: DescriptorWatch, wakeUp: WakeUp) {
      self.watch = watch
      self.wakeUp = wakeUp
    }
  }
}

/// Messages to a loop from any thread, in order. For rare things (new keys, drain): a message may allocate.
public final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Locked<[Message]>([])
  private let wakeUp: WakeUp

  public init() throws(SystemError) { wakeUp = try WakeUp() }

  /// From any thread.
  public func post(_ message: Message) {
    messages.withLock { $0.append(message) }
    wakeUp.notify()
  }

  /// `receive` runs on the loop's thread, once a message, while the attachment lives.
  public func attach(to loop: EventLoop, _ receive: @escaping (Message) -> Void) -> WakeUp.Attachment {
    wakeUp.attach(to: loop) { [self] in
      for message in messages.withLock({ all in exchange(&all, with: []) }) { receive(message) }
    }
  }
}

private func exchange<T>(_ value: inout T, with new: T) -> T {
  let old = value
  value = new
  return old
}
