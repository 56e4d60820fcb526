// The bytes of remembered tokens: one run of address space, taken from the system page by page as it is written, erased
// before it is given back, and left out of core dumps. Nothing here knows what the bytes mean.
//
// Invariant: every access is checked against the run's length, so `unsafe` here can reach nothing else.

import Glibc

/// Owns zeroed address space. One thread.
@safe struct CacheMemory: ~Copyable {
  let count: Int
  private let base: UnsafeMutableRawPointer?

  /// `count` bytes that cost nothing yet.
  init(count: Int) {
    self.count = count
    guard count > 0 else {
      unsafe base = nil
      return
    }
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let mapped = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, flags, -1, 0)
    guard let mapped = unsafe mapped, unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1) else {
      fatalError("no address space for token_cache_bytes")
    }
    // Whole tokens lie here, and a token is a password for as long as it lives.
    _ = unsafe madvise(mapped, count, MADV_DONTDUMP)
    // Pages as they are written, not 2 MiB at the first byte.
    _ = unsafe madvise(mapped, count, MADV_NOHUGEPAGE)
    unsafe base = unsafe mapped
  }

  deinit {
    if let base = unsafe base { unsafe munmap(base, count) }
  }

  /// The address of a range that is inside.
  @inline(__always)
  private func address(_ start: Int, _ length: Int) -> UnsafeMutableRawPointer {
    precondition(start >= 0 && length >= 0 && start <= count - length)
    // Safe: a range of a length above zero can't be inside an empty run.
    return unsafe base.unsafelyUnwrapped + start
  }

  /// Reads a value at an offset; aligned as the value wants it.
  @inline(__always)
  func load<Value: BitwiseCopyable>(_ type: Value.Type, at start: Int) -> Value {
    precondition(start % MemoryLayout<Value>.alignment == 0)
    return unsafe address(start, MemoryLayout<Value>.size).load(as: type)
  }

  mutating func store<Value: BitwiseCopyable>(_ value: Value, at start: Int) {
    precondition(start % MemoryLayout<Value>.alignment == 0)
    unsafe address(start, MemoryLayout<Value>.size).storeBytes(of: value, as: Value.self)
  }

  mutating func store(_ bytes: Span<UInt8>, at start: Int) {
    guard !bytes.isEmpty else { return }
    let target = unsafe address(start, bytes.count)
    unsafe bytes.withUnsafeBytes { unsafe target.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
  }

  /// Whether exactly these bytes lie at an offset.
  @inline(__always)
  func holds(_ bytes: Span<UInt8>, at start: Int) -> Bool {
    guard !bytes.isEmpty else { return true }
    let own = unsafe address(start, bytes.count)
    return unsafe bytes.withUnsafeBytes { unsafe memcmp(own, $0.baseAddress!, $0.count) == 0 }
  }

  /// Lends a range for the length of `body`.
  func withBytes<Result, Failure: Error>(
    _ range: Range<Int>, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    guard !range.isEmpty else { return try body(Span()) }
    let start = unsafe address(range.lowerBound, range.count).assumingMemoryBound(to: UInt8.self)
    // Safe: the memory stays as long as `self`, which is borrowed for the call, and nobody writes meanwhile.
    let buffer = unsafe UnsafeBufferPointer(start: start, count: range.count)
    return try unsafe body(buffer.span)
  }

  /// Overwrites a range with zeros, in a way that no compiler leaves out.
  mutating func erase(_ range: Range<Int>) {
    guard !range.isEmpty else { return }
    unsafe explicit_bzero(address(range.lowerBound, range.count), range.count)
  }

  /// Gives the pages that lie wholly inside a range, which was erased, back to the system; they are zeros when they are
  /// next read.
  mutating func giveBack(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    guard start < end else { return }
    _ = unsafe madvise(address(start, end - start), end - start, MADV_DONTNEED)
  }
}
