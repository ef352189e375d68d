package import JSON
internal import Wire

/// Walks two values at once and tells which of their parts differ.
package struct ValueComparison {
  /// Told the path of a part and how it differs.
  package typealias Report = (_ path: String, _ change: Difference.Change) -> Void

  /// Most elements of one array that are told one by one.
  private static let elementLimit = 16

  private let report: Report
  private let ignoresNames: Bool

  /// - Parameter ignoresNames: whether a value that only has another name in the second structure is the same.
  package init(renaming ignoresNames: Bool = false, _ report: @escaping Report) {
    (self.report, self.ignoresNames) = (report, ignoresNames)
  }

  package func compare(_ before: JSON, _ after: JSON, at path: String = "") {
    if before == after { return }
    switch (before, after) {
    case (.object(let one), .object(let other)): compare(one, other, at: path)
    case (.array(let one), .array(let other)):
      if one.count != other.count {
        report(path + "[]", .init(JSON(one.count), JSON(other.count)))
      }
      if compareSimple(one, other, at: path) { return }
      for (index, pair) in zip(one, other).enumerated() {
        compare(pair.0, pair.1, at: "\(path)[\(index)]")
      }
    default: report(path, .init(before, after))
    }
  }

  /// Tells in one piece that many elements differ that are no structures themselves.
  /// - Returns: false when they are to be told one by one.
  private func compareSimple(_ one: [JSON], _ other: [JSON], at path: String) -> Bool {
    guard min(one.count, other.count) > Self.elementLimit else { return false }
    let isSimple = { (value: JSON) in value.members == nil && value.array == nil }
    guard one.allSatisfy(isSimple), other.allSatisfy(isSimple) else { return false }
    var (count, first) = (0, 0)
    for (index, pair) in zip(one, other).enumerated() where pair.0 != pair.1 {
      if count == 0 { first = index }
      count += 1
    }
    guard count > Self.elementLimit else { return false }
    report(
      path,
      .elements(
        count: count, first: first, before: Difference.Change.short(one[first]),
        after: Difference.Change.short(other[first])))
    return true
  }

  private func compare(_ before: [JSON.Member], _ after: [JSON.Member], at path: String) {
    func place(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    let keys = Self.numbered(before)
    if zip(before, after).allSatisfy({ $0.key == $1.key }), before.count == after.count {
      for (index, key) in keys.enumerated() {
        compare(before[index].value, after[index].value, at: place(key))
      }
      return
    }
    var renamed: Set<String> = []
    // Indices of what only the second value has remain.
    var later = Dictionary(
      uniqueKeysWithValues: Self.numbered(after).enumerated().map { ($1, $0) })
    let (earlier, others) = (Set(keys), Self.numbered(after))
    for (index, (key, member)) in zip(keys, before).enumerated() {
      // The description has names by which values are read, and tells when one of them is another one.
      guard ignoresNames, later[key] == nil, others.indices.contains(index),
        !earlier.contains(others[index]), after[index].value == member.value
      else { continue }
      later[others[index]] = nil
      renamed.insert(key)
    }
    for (key, member) in zip(keys, before) where !renamed.contains(key) {
      if let index = later.removeValue(forKey: key) {
        compare(member.value, after[index].value, at: place(key))
      } else {
        report(place(key), .init(member.value, nil))
      }
    }
    for (key, index) in later.sorted(by: { $0.value < $1.value }) {
      report(place(key), .init(nil, after[index].value))
    }
  }

  /// The keys. One that comes again gets a number: QEMU describes some fields in pieces.
  private static func numbered(_ members: [JSON.Member]) -> [String] {
    var counts: [String: Int] = [:]
    var taken: Set<String> = []
    return members.map { member in
      var count = counts[member.key, default: 0]
      var key = count == 0 ? member.key : "\(member.key)#\(count + 1)"
      while !taken.insert(key).inserted {
        count += 1
        key = "\(member.key)#\(count + 1)"
      }
      counts[member.key] = count + 1
      return key
    }
  }
}

extension Difference.Change {
  /// Longest text that is kept as it is, in characters.
  private static let textLimit = 64
  /// Most elements of an array that are kept.
  private static let elementLimit = 16
  /// Bytes that are kept of longer ones.
  private static let excerpt = 16

  package init(_ before: JSON?, _ after: JSON?) {
    switch (before, after) {
    case (nil, let after?) where after.members == nil && after.array == nil:
      self = .changed(before: .null, after: Self.short(after))
    case (let before?, nil) where before.members == nil && before.array == nil:
      self = .changed(before: Self.short(before), after: .null)
    case (nil, _): self = .added
    case (_, nil): self = .removed
    case (let before?, let after?):
      self =
        Self.longBytes(before.string, after.string)
        ?? .changed(before: Self.short(before), after: Self.short(after))
    }
  }

  /// The change of long byte strings in hex, with or without spaces; nil for anything else.
  private static func longBytes(_ before: String?, _ after: String?) -> Self? {
    guard let before, let after, max(before.utf8.count, after.utf8.count) > textLimit,
      let one = bytes(before), let other = bytes(after)
    else { return nil }
    let common = min(one.count, other.count)
    let first = (0..<common).first { one[$0] != other[$0] } ?? common
    let count =
      (first..<common).count { one[$0] != other[$0] } + max(one.count, other.count) - common
    let last = min((0..<common).last { one[$0] != other[$0] } ?? first, first + excerpt - 1)
    func part(_ bytes: [UInt8]) -> String {
      Hex.encode(bytes[min(first, bytes.count)..<min(last + 1, bytes.count)])
    }
    return .bytes(
      count: count, first: first, before: part(one), after: part(other),
      sizes: .init(before: one.count, after: other.count))
  }

  private static func bytes(_ text: String) -> [UInt8]? {
    Hex.decode(String(decoding: text.utf8.lazy.filter { $0 != UInt8(ascii: " ") }, as: UTF8.self))
  }

  /// A value as it is kept: long texts are cut, and of a structure or a long array only its kind is kept.
  fileprivate static func short(_ value: JSON) -> JSON {
    switch value {
    case .string(let text) where text.utf8.count > textLimit:
      .string("\(text.prefix(textLimit))…")
    case .array(let elements)
    where elements.count > elementLimit
      || elements.contains { $0.array != nil || $0.members != nil }:
      .string("\(elements.count) elements")
    case .object: .string("a structure")
    default: value
    }
  }
}
