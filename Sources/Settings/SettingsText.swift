// The table as text for people: --help and the README. Nothing is read or decided here.

extension SettingsTable {
  /// All settings for a terminal: flag, variable and default, a line or two each, and no trailing newline.
  public static var helpText: String {
    rows.map { row in
      "  \(row.flag) <\(row.placeholder)>\n      \(row.variables.joined(separator: ", ")); default: \(row.defaultInWords)"
    }.joined(separator: "\n")
  }

  /// The README's table of settings: a line a setting, GitHub's Markdown, a newline behind each line.
  public static var markdown: String {
    var lines = "| setting | default | allowed | what it does |\n| --- | --- | --- | --- |\n"
    for row in rows {
      let names = row.variables.map { "`\($0)`" }.joined(separator: " ")
      let standard = row.defaultAsText.map { "`\($0)`" } ?? row.defaultInWords
      lines += "| `\(row.flag)` \(names) | \(standard) | \(row.allowed) | \(row.help) |\n"
    }
    return lines
  }
}
