internal import Errors

/// The lines of a vector, by key. Values are removed when they are read.
struct VectorHeader {
  private var values: [Vector.Key: [String]] = [:]
  /// The line number of each key.
  private var lines: [Vector.Key: Int] = [:]
  private let fileName: String

  /// - Throws: `VECTOR-SYNTAX` for a line that is not valid or ends with a carriage return, for an
  ///   unknown key, and for a repeated key.
  init(_ text: String, fileName: String) throws(MigrationError) {
    self.fileName = fileName
    let lines = text.lines
    if let index = lines.firstIndex(where: \.endsInCarriageReturn) {
      throw refusal(
        line: index + 1, "a line ends with a carriage return", expected: "line feeds alone")
    }
    guard lines[0] == Vector.firstLine else {
      throw refusal(line: 1, "no vector of a known version", expected: Vector.firstLine)
    }
    for index in lines.indices.dropFirst() {
      let line = lines[index]
      if line.isEmpty || line.hasPrefix("#") { continue }
      guard let colon = line.firstIndex(of: ":"),
        let key = Vector.Key(rawValue: "\(line[..<colon])")
      else { throw refusal(line: index + 1, "no key of a vector", got: "\(line.prefix(60))") }
      guard values[key] == nil || key.isRepeatable else {
        throw refusal(line: index + 1, "\(key.rawValue) is repeated")
      }
      self.lines[key] = index + 1
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      guard key.isBlock == value.isEmpty else {
        throw refusal(
          line: index + 1,
          key.isBlock ? "the lines of \(key.rawValue) follow it" : "\(key.rawValue) has no value")
      }
      guard key.isBlock else {
        values[key, default: []].append(String(value))
        continue
      }
      values[key] = [try block(lines[(index + 1)...])]
      return
    }
  }

  /// Joins lines indented by two spaces, to the end of the file.
  private func block(_ lines: ArraySlice<Substring>) throws(MigrationError) -> String {
    var text = ""
    for index in lines.indices where index < lines.endIndex - 1 || !lines[index].isEmpty {
      let bytes = lines[index].utf8
      guard bytes.starts(with: "  ".utf8) || bytes.isEmpty else {
        throw refusal(line: index + 1, "a line is not indented by two spaces")
      }
      text += Substring(bytes.dropFirst(2)) + "\n"
    }
    return text
  }

  // MARK: Refusals

  private func refusal(
    line: Int, _ what: String, expected: String? = nil, got: String? = nil
  ) -> MigrationError {
    MigrationError(
      .vectorSyntax, what, in: .line(line, of: fileName), expected: expected, got: got)
  }

  /// A refusal of a key that is missing or whose value is wrong.
  func refusal(
    _ key: Vector.Key, _ what: String, expected: String? = nil, got: String? = nil
  ) -> MigrationError {
    let what = "\(key.rawValue) \(what)"
    if let line = lines[key] {
      return refusal(line: line, what, expected: expected, got: got)
    }
    return MigrationError(
      .vectorSyntax, what, in: .file(fileName), expected: expected, got: got)
  }

  // MARK: Values

  mutating func takeAll(_ key: Vector.Key) -> [String] {
    values.removeValue(forKey: key) ?? []
  }

  mutating func take(_ key: Vector.Key) -> String? { takeAll(key).first }

  mutating func need(_ key: Vector.Key) throws(MigrationError) -> String {
    guard let value = take(key) else { throw refusal(key, "is missing") }
    return value
  }

  mutating func choice<Choice: RawRepresentable<String>>(
    _ key: Vector.Key, of choices: [Choice]
  ) throws(MigrationError) -> Choice {
    let text = try need(key)
    guard let choice = choices.first(where: { $0.rawValue == text }) else {
      throw refusal(
        key, "is unknown", expected: choices.map(\.rawValue).joined(separator: ", "), got: text)
    }
    return choice
  }

  mutating func number(_ key: Vector.Key) throws(MigrationError) -> UInt64? {
    guard let text = take(key) else { return nil }
    guard let value = PlaceSyntax.number(text[...]) else {
      throw refusal(key, "is not a number", got: text)
    }
    return value
  }

  private mutating func code(_ key: Vector.Key) throws(MigrationError) -> ErrorCode? {
    guard let text = take(key) else { return nil }
    // Compared by bytes: as strings, a code spelled with a Kelvin sign would be equal.
    guard let code = ErrorCode(rawValue: text), code.rawValue.utf8.elementsEqual(text.utf8) else {
      throw refusal(key, "is not an error code", got: text)
    }
    return code
  }

  mutating func verdict() throws(MigrationError) -> Vector.Verdict {
    let text = try need(.verdict)
    guard text == "refused" else {
      guard text == "accepted" else {
        throw refusal(.verdict, "is unknown", expected: "accepted or refused", got: text)
      }
      for key in [Vector.Key.code, .keylessCode, .loadCode, .section, .offset]
      where values[key] != nil {
        throw refusal(key, "belongs to what is refused")
      }
      return .accepted
    }
    guard let code = try code(.code) else { throw refusal(.code, "is missing") }
    let load = try self.code(.loadCode) ?? code
    if values[.keylessCode]?.first == "none" {
      _ = take(.keylessCode)
      return .refused(code, keyless: nil, load: load)
    }
    return .refused(code, keyless: try self.code(.keylessCode) ?? code, load: load)
  }
}
