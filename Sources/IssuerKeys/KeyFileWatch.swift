// Notices that the file that keys come from is another.

import POSIX

/// Looks at a file once a second: notifications would not come from every file system that a `file:` may be on. Thread: the
/// control loop's.
final class KeyFileWatch {
  private static let interval: Int64 = 1_000

  private let mark: () -> FileMark?
  private var remembered: FileMark?
  private var timer: (any OneShotTimer)?
  private var changed: () -> Void = {}

  /// - Parameter mark: what the file is marked by now; nil where there is none.
  init(mark: @escaping () -> FileMark?, makeTimer: (_ action: @escaping () -> Void) -> any OneShotTimer) {
    self.mark = mark
    timer = makeTimer { [unowned self] in look() }
  }

  /// - Parameter changed: called each second in which the file is another than at the last `remember`.
  func start(_ changed: @escaping () -> Void) {
    self.changed = changed
    timer?.schedule(afterMilliseconds: Self.interval)
  }

  /// The file is about to be read.
  func remember() { remembered = mark() }

  private func look() {
    if mark() != remembered { changed() }
    timer?.schedule(afterMilliseconds: Self.interval)
  }
}
