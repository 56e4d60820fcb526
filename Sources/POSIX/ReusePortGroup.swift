// The sockets that listen side by side at one address (SO_REUSEPORT), of this process and of others, and how a process that
// stops leaves new connections to a newer one.
//
// A connection whose handshake ends between the last accept(2) and close(2) of a listening socket is reset: closing throws
// its queue away (tcp_migrate_req is off by default). So before a process closes its sockets beside newer ones, it tells the
// kernel to give new connections to those.

import CLinux
import Glibc

package enum ReusePortGroup {
  /// The other sockets that listen at the addresses of `own`, by inode. Empty where /proc/net does not tell.
  ///
  /// - Parameter own: listening TCP sockets of this process.
  package static func others(besides own: [Int32]) -> Set<UInt64> {
    let inodes = Set(own.compactMap(inode(of:)))
    var others: Set<UInt64> = []
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
      let rows = listeners(table)
      let addresses = Set(rows.filter { inodes.contains($0.inode) }.map(\.address))
      for row in rows where addresses.contains(row.address) && !inodes.contains(row.inode) { others.insert(row.inode) }
    }
    return others
  }

  /// From now on the kernel gives new connections to the socket that was the first to listen behind this process's own, until
  /// that place in the group is empty; then it goes by a hash again, as before.
  ///
  /// The group keeps its sockets in the order in which they listened, and fills the place of one that closes with its last
  /// one. So while `count` sockets of the oldest process close, place number `count` is a newer process's, as long as that one
  /// has as many (`reuseport_detach_sock`; `ReusePortGroupTests` holds it).
  ///
  /// - Parameters:
  ///   - descriptor: any of this process's sockets of the group.
  ///   - count: how many this process has in it.
  /// - Returns: false where the kernel refuses.
  package static func leaveToNewer(_ descriptor: Int32, ownCount count: Int) -> Bool {
    clinux_steer_reuseport(descriptor, UInt32(count)) == 0
  }

  private static func inode(of descriptor: Int32) -> UInt64? {
    var status = stat()
    // Safe: the call fills one struct of this frame.
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    return UInt64(status.st_ino)
  }

  private struct Row {
    var address: Substring
    var inode: UInt64
  }

  /// The listening sockets of a table of proc_net_tcp(5); they stand before all connections.
  private static func listeners(_ table: String) -> [Row] {
    guard let text = readTable(table) else { return [] }
    var rows: [Row] = []
    for line in text.split(separator: "\n").dropFirst() {
      let fields = line.split(separator: " ", omittingEmptySubsequences: true)
      // State 0A is TCP_LISTEN.
      guard fields.count > 9, fields[3] == "0A", let inode = UInt64(fields[9]) else { break }
      rows.append(Row(address: fields[1], inode: inode))
    }
    return rows
  }

  /// Up to 1 MiB: some 7,000 listening sockets, or that many connections behind fewer of them.
  private static func readTable(_ path: String) -> String? {
    guard let file = try? FileDescriptor.open(path, O_RDONLY | O_CLOEXEC),
      let bytes = try? file.readPrefix(upTo: 1 << 20)
    else { return nil }
    return String(decoding: bytes, as: UTF8.self)
  }
}
