// Memory that was freed and that the allocator has kept.

import CLinux

public enum FreedMemory {
  /// Gives back to the system what glibc's allocator keeps of freed memory (malloc_trim(3)): it looks through all of the
  /// heap, which takes milliseconds and makes other threads that allocate wait. From any thread, seldom.
  public static func giveBack() { _ = malloc_trim(0) }
}
