// Which known name somebody may have meant. Pure.

/// The known name that is nearest to `name`, where one is near enough to be meant: at most three edits and less than
/// half of the name.
package func nearestName(to name: String, among known: some Sequence<String>) -> String? {
  var best: (name: String, distance: Int)?
  for candidate in known {
    let distance = editDistance(candidate, name)
    if distance < best?.distance ?? Int.max { best = (candidate, distance) }
  }
  guard let best, best.distance <= 3, best.distance * 2 <= max(best.name.utf8.count, 2) else { return nil }
  return best.name
}

/// The edits (Levenshtein) between two names, both cut at 64 bytes.
private func editDistance(_ one: String, _ other: String) -> Int {
  let other = Array(other.utf8.prefix(64))
  var previous = Array(0...other.count)
  for (row, byte) in one.utf8.prefix(64).enumerated() {
    var current = [row + 1]
    for (column, otherByte) in other.enumerated() {
      current.append(min(previous[column + 1] + 1, current[column] + 1, previous[column] + (byte == otherByte ? 0 : 1)))
    }
    previous = current
  }
  return previous[other.count]
}
