// What /proc/self says about this process.

import Glibc
import POSIX

/// Figures of this process; nil where /proc does not tell.
public struct ProcessFigures: Equatable, Sendable {
  /// Seconds since 1970.
  public var startSeconds: Double?
  public var openDescriptors: Int?
  /// The soft limit of open descriptors.
  public var descriptorLimit: UInt64?
  public var residentBytes: Int?

  public init(
    startSeconds: Double? = nil, openDescriptors: Int? = nil, descriptorLimit: UInt64? = nil, residentBytes: Int? = nil
  ) {
    self.startSeconds = startSeconds
    self.openDescriptors = openDescriptors
    self.descriptorLimit = descriptorLimit
    self.residentBytes = residentBytes
  }

  /// Reads them now: three small files and a folder, so not on an event loop that serves requests.
  public static func current() -> ProcessFigures {
    let pages = contents(of: "/proc/self/statm").flatMap { number(at: 1, in: $0[...]) }
    return ProcessFigures(
      startSeconds: start, openDescriptors: countOpenDescriptors(), descriptorLimit: POSIX.descriptorLimit(),
      residentBytes: pages.map { $0 * Int(sysconf(Int32(_SC_PAGESIZE))) })
  }

  /// Worked out once, so that a later step of the clock does not look like a restart.
  private static let start: Double? = {
    guard let stat = contents(of: "/proc/self/stat"), let nameEnd = stat.lastIndex(of: UInt8(ascii: ")")),
      // Field 22 (proc_pid_stat(5)); the second is the program's name, which may hold spaces and brackets.
      let ticks = number(at: 19, in: stat[stat.index(after: nameEnd)...])
    else { return nil }
    return Clock.machineStartSeconds + Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }()

  /// A file of /proc: a few hundred bytes; nil where it cannot be read.
  private static func contents(of path: String) -> [UInt8]? {
    do throws(SystemError) { return try FileDescriptor.open(path, O_RDONLY).readAll(atMost: 4095) } catch { return nil }
  }

  /// The number in a field, counted from 0, of a line whose fields are separated by single spaces.
  private static func number(at index: Int, in line: ArraySlice<UInt8>) -> Int? {
    let fields = line.split(separator: UInt8(ascii: " "))
    guard index < fields.count else { return nil }
    return Int(String(decoding: fields[index], as: UTF8.self))
  }
}
