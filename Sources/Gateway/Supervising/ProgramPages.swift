// Gives the pages of program text that only the start needed back to the kernel. Linux only: dl_iterate_phdr(3) and
// madvise(2). Nothing that a running program could have written is touched, here or anywhere.

import Glibc

/// The text and read-only data of this program and its libraries.
///
/// A start relocates, reads settings and makes tables, and what it touched of the files behind that stays mapped (most of
/// a resident set that serves nothing yet). Given back, the pages stay in the kernel's cache of these files, and each
/// comes back by a minor fault when it is next read, sixteen at a time.
enum ProgramPages {
  /// Gives back what is resident of every segment that is mapped from a file and was never writable, so that each byte of
  /// it is a copy of the file's: text and constants. Relocated data (RELRO) lies in segments that were writable, and is
  /// left alone with all other data; so is an object whose text had to be relocated (DT_TEXTREL).
  ///
  /// Does nothing while somebody traces the process: a debugger writes its breakpoints into the text. Any thread, at any
  /// time; the loader's lock keeps objects from coming and going meanwhile. Takes some tenths of a millisecond.
  ///
  /// - Returns: the bytes of address space that were given back, resident or not.
  @discardableResult static func giveBack() -> Int {
    guard !isTraced() else { return 0 }
    var bytes = 0
    // Safe: the callback is called inside this call only, with the address of `bytes`, which nothing else uses meanwhile.
    _ = unsafe withUnsafeMutablePointer(to: &bytes) { bytes in
      unsafe dl_iterate_phdr(
        { object, _, context in
          // Safe: the loader passes its description of one loaded object, and holds its lock, so that the object stays.
          let given = unsafe ProgramPages.giveBack(object!.pointee)
          unsafe context!.assumingMemoryBound(to: Int.self).pointee += given
          return 0
        }, bytes)
    }
    return bytes
  }

  /// The whole pages inside the segments of one object.
  private static func giveBack(_ object: dl_phdr_info) -> Int {
    // Safe: the loader's own table of this object's segments, which stays while its lock is held (above).
    let segments = unsafe UnsafeBufferPointer(start: object.dlpi_phdr, count: Int(object.dlpi_phnum))
    let base = unsafe UInt(object.dlpi_addr)
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    var given = 0
    for index in segments.indices {
      let segment = unsafe segments[index]
      if segment.p_type == UInt32(PT_DYNAMIC), hasTextRelocations(at: base &+ UInt(segment.p_vaddr)) { return 0 }
    }
    for index in segments.indices {
      let segment = unsafe segments[index]
      guard segment.p_type == UInt32(PT_LOAD), segment.p_flags & UInt32(PF_W) == 0 else { continue }
      let first = base &+ UInt(segment.p_vaddr)
      let start = (first &+ page - 1) & ~(page - 1)
      let end = (first &+ UInt(segment.p_filesz)) & ~(page - 1)
      guard end > start else { continue }
      // Safe: the loader mapped these pages from the object's file, privately and never writable, so there is nothing in
      // them but the file's bytes, which the kernel maps again at the next touch, for threads that run there now, too. The
      // vDSO is in the list as well, and the kernel's own page comes back in the same way.
      if unsafe madvise(UnsafeMutableRawPointer(bitPattern: start), Int(end - start), Int32(MADV_DONTNEED)) == 0 {
        given += Int(end - start)
      }
    }
    return given
  }

  /// Whether the loader has written into the object's text (DT_TEXTREL, elf(5)).
  private static func hasTextRelocations(at address: UInt) -> Bool {
    // Safe: the object's dynamic section, mapped for as long as the object is, and ended by DT_NULL.
    guard var entry = unsafe UnsafePointer<Elf64_Dyn>(bitPattern: address) else { return true }
    while unsafe entry.pointee.d_tag != Int64(DT_NULL) {
      let (tag, value) = unsafe (entry.pointee.d_tag, entry.pointee.d_un.d_val)
      if tag == Int64(DT_TEXTREL) || tag == Int64(DT_FLAGS) && value & UInt64(DF_TEXTREL) != 0 { return true }
      unsafe entry += 1
    }
    return false
  }

  /// Whether a debugger is attached; true where that cannot be told.
  private static func isTraced() -> Bool {
    let descriptor = unsafe open("/proc/self/status", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    var text = [UInt8](repeating: 0, count: 4096)
    // Safe: read(2) writes at most the array's own count into it.
    let count = unsafe text.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
    return !String(decoding: text.prefix(max(count, 0)), as: UTF8.self).contains("\nTracerPid:\t0\n")
  }
}
