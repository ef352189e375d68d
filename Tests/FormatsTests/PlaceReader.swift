/// Finds every place that `Formats/vectors.md` names in a stream, an offer or an instance: by the tables
/// and the text of `Formats` alone, with no type of the modules that make or attack streams.
struct PlaceReader {
  /// A part of a stream: what places call it, and where it lies.
  private struct Part {
    var kind: String
    var start: Int
    var body: Int
    var end: Int
  }

  /// Name and bytes of each place, in the order in which they were found.
  private(set) var places: [(name: String, range: Range<Int>)] = []
  private let bytes: [UInt8]
  private var next = 0
  private var parts: [Part] = []
  /// Section names by id, and the bodies of sections of the machine that are still to come.
  private var names: [Int: String] = [:]
  private var devices: [Int] = []
  /// Records of shared memory, where the content of each begins, and whether the page is zero.
  private var shared: [(range: Range<Int>, content: Int, isZero: Bool)] = []

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  // MARK: Files

  static func offer(_ bytes: [UInt8]) throws -> PlaceReader {
    var reader = PlaceReader(bytes)
    try reader.note("offer", 0..<bytes.count)
    try reader.noteFields("offer", of: "offer", at: 0)
    try reader.noteEvidence("offer", behind: "offer", at: 0)
    return reader
  }

  static func instance(_ bytes: [UInt8]) throws -> PlaceReader {
    var reader = PlaceReader(bytes)
    try reader.note("instance", 0..<bytes.count)
    try reader.noteFields("instance", of: "instance", at: 0)
    let fixed = try size(of: "instance")
    let offer = try reader.number("offer_length", of: "instance", at: 0)
    try reader.note("instance.offer", fixed..<fixed + offer)
    try reader.note("instance.checksum", bytes.count - 32..<bytes.count)
    return reader
  }

  static func stream(_ bytes: [UInt8]) throws -> PlaceReader {
    var reader = PlaceReader(bytes)
    try reader.readStream()
    try reader.noteParts()
    try reader.noteRevisions()
    try reader.noteShared()
    return reader
  }

  // MARK: Tables

  /// The fields of a layout's table.
  private static func fields(of layout: String) throws -> [(name: String, range: Range<Int>)] {
    for text in Documents.texts {
      guard let marker = text.lines.firstIndex(of: "<!-- layout: \(layout) -->"),
        let table = Table(in: text.lines, from: marker + 1)
      else { continue }
      return table.rows.compactMap { row in
        guard let offset = Int(row[0]), let size = Int(row[1]) else { return nil }
        return (row[2], offset..<offset + size)
      }
    }
    throw PlainReader.Failure(what: "no table of \(layout)")
  }

  private static func size(of layout: String) throws -> Int {
    try fields(of: layout).last?.range.upperBound ?? 0
  }

  private func number(_ field: String, of layout: String, at start: Int) throws -> Int {
    guard let found = try Self.fields(of: layout).first(where: { $0.name == field }) else {
      throw PlainReader.Failure(what: "no field \(field) of \(layout)")
    }
    return value(start + found.range.lowerBound, found.range.count)
  }

  private func value(_ start: Int, _ size: Int) -> Int {
    bytes[start..<start + size].reduce(0) { $0 << 8 | Int($1) }
  }

  // MARK: Noting

  private mutating func note(_ name: String, _ range: Range<Int>) throws {
    guard range.upperBound <= bytes.count else {
      throw PlainReader.Failure(what: "\(name) ends behind the file")
    }
    places.append((name, range))
  }

  private mutating func noteFields(_ name: String, of layout: String, at start: Int) throws {
    for field in try Self.fields(of: layout) {
      let range = field.range
      try note("\(name).\(field.name)", start + range.lowerBound..<start + range.upperBound)
    }
  }

  private mutating func noteEvidence(_ name: String, behind layout: String, at start: Int) throws {
    let report = try start + Self.size(of: layout)
    let certificates = try report + number("report_length", of: layout, at: start)
    let end = try certificates + number("certificates_length", of: layout, at: start)
    guard certificates > report else { return }
    try note("\(name).report", report..<certificates)
    try noteFields("\(name).report", of: "attestation-report", at: report)
    try note("\(name).certificates", certificates..<end)
  }

  // MARK: A stream

  private mutating func readStream() throws {
    parts.append(Part(kind: "file", start: 0, body: 0, end: 8))
    let configuration = 8 + 5 + value(9, 4)
    parts.append(Part(kind: "configuration", start: 8, body: 8, end: configuration))
    next = configuration
    while bytes[next] != 0 { try readSection() }
    parts.append(Part(kind: "eof", start: next, body: next, end: next + 1))
    let seal = next + 1
    let leaves = try number("chunk_count", of: "seal", at: seal) * 32
    let behind = try seal + Self.size(of: "seal") + leaves + 96
    parts.append(Part(kind: "seal", start: seal, body: seal, end: behind))
    let end = behind + 5 + value(behind + 1, 4)
    parts.append(Part(kind: "description", start: behind, body: behind, end: end))
    guard end == bytes.count else { throw PlainReader.Failure(what: "bytes behind the end") }
  }

  private mutating func readSection() throws {
    let start = next
    let type = Int(bytes[start])
    let id = value(start + 1, 4)
    next += 5
    if type == 1 || type == 4 {
      let size = Int(bytes[next])
      names[id] = String(decoding: bytes[next + 1..<next + 1 + size], as: UTF8.self)
      next += 1 + size + 8
    }
    let body = next
    let name = names[id] ?? ""
    next = try body + bodySize(name, type, at: body)
    guard bytes[next] == 0x7e, value(next + 1, 4) == id else {
      throw PlainReader.Failure(what: "no footer of \(name)")
    }
    next += 5
    parts.append(Part(kind: Self.kind(name, type), start: start, body: body, end: next))
  }

  /// What places call a section that comes as `type`.
  private static func kind(_ name: String, _ type: Int) -> String {
    let step = type == 1 ? "start" : "end"
    switch name {
    case "ram": return type == 2 ? "ram.part" : "ram.\(step)"
    case "snp-private-pages": return type == 2 ? "page" : "pages.\(step)"
    case "snp-epochs": return type == 2 ? "token" : "epochs.\(step)"
    case "snp-guest-map": return "map"
    case "snp-page-states": return "states"
    default:
      if name.hasPrefix("snp-") { return String(name.dropFirst(4)) }
      return name.hasPrefix("x-") ? "optional" : "device"
    }
  }

  private mutating func bodySize(_ name: String, _ type: Int, at body: Int) throws -> Int {
    switch name {
    case "snp-session":
      return try Self.size(of: "session") + number("report_length", of: "session", at: body)
        + number("certificates_length", of: "session", at: body)
    case "ram": return readShared(type, at: body) - body
    case "snp-guest-map":
      return try Self.size(of: "guest-map-header")
        + value(body, 4) * Self.size(of: "guest-map-entry")
    case "snp-private-pages": return try Self.size(of: "page-record")
    case "snp-epochs": return try Self.size(of: "epoch-token")
    case "snp-machine":
      try readMachine(at: body)
      return 4 + value(body, 4)
    case "snp-commit": return try Self.size(of: "commit")
    case "snp-vcpu", "snp-service", "snp-secrets", "snp-page-states":
      return try Self.size(of: "final-record") + number("length", of: "final-record", at: body)
    default:
      if name.hasPrefix("x-") { return 4 + value(body, 4) }
      return devices.removeFirst()
    }
  }

  /// - Returns: where the body ends.
  private mutating func readShared(_ type: Int, at body: Int) -> Int {
    var place = body
    if type == 1 {
      var left = value(place, 8) & ~0xfff
      place += 8
      while left > 0 {
        place += 1 + Int(bytes[place])
        left -= value(place, 8)
        place += 8
      }
    }
    while value(place, 8) != 0x10 {
      let word = value(place, 8)
      var end = place + 8
      if word & 0x20 == 0 { end += 1 + Int(bytes[end]) }
      let content = end
      end += word & 0x8 != 0 ? 4096 : 1
      shared.append((place..<end, content, word & 0x8 == 0))
      place = end
    }
    return place + 8
  }

  private mutating func readMachine(at body: Int) throws {
    var place = try body + Self.size(of: "machine")
    place += try number("configuration_length", of: "machine", at: body)
    place += try number("description_length", of: "machine", at: body)
    var sealed = 0
    for index in 0..<(try number("count", of: "machine", at: body)) {
      let name = try place + Self.size(of: "machine-entry")
      let data = try name + number("name_length", of: "machine-entry", at: place)
      let length = try number("length", of: "machine-entry", at: place)
      let kind = try number("place", of: "machine-entry", at: place)
      let end = kind == 0 ? data + length : data
      if kind == 1 { devices.append(length) }
      var names = ["machine.entry[\(index)]"]
      if kind == 2 {
        names.append("machine.sealed[\(sealed)]")
        sealed += 1
      }
      for entry in names {
        try note(entry, place..<end)
        try noteFields(entry, of: "machine-entry", at: place)
        try note("\(entry).name", name..<data)
        try note("\(entry).data", data..<end)
      }
      place = end
    }
  }
}

extension PlaceReader {
  private mutating func noteParts() throws {
    let kinds = Dictionary(grouping: parts.indices) { parts[$0].kind }
    for (kind, indices) in kinds.sorted(by: { $0.key < $1.key }) {
      for (number, index) in indices.enumerated() {
        // What there is but once needs no number.
        try notePart(parts[index], indices.count == 1 ? kind : "\(kind)[\(number)]")
      }
      let (first, last) = (parts[indices[0]], parts[indices[indices.count - 1]])
      try note("all(\(kind))", first.start..<last.end)
      try note("rest(\(kind))", first.start..<bytes.count)
      try note("\(kind)[last]", last.start..<last.end)
    }
    try note("0x10", 16..<bytes.count)
    try note("end", bytes.count..<bytes.count)
  }

  private mutating func notePart(_ part: Part, _ name: String) throws {
    let (start, body) = (part.start, part.body)
    try note(name, start..<part.end)
    let isSection = body > start
    let bodyEnd = isSection ? part.end - 5 : part.end
    if isSection {
      try note("header(\(name))", start..<body)
      try note("footer(\(name))", bodyEnd..<part.end)
      try note("header(\(name)).type", start..<start + 1)
      try note("header(\(name)).id", start + 1..<start + 5)
      if body > start + 5 {
        try note("header(\(name)).name", start + 5..<body - 8)
        try note("header(\(name)).instance", body - 8..<body - 4)
        try note("header(\(name)).version", body - 4..<body)
      }
    }
    try note("body(\(name))", body..<bodyEnd)
    if part.end > start + 3 { try note("\(name)+3", start + 3..<part.end) }
    try noteFields(part.kind, name, body..<bodyEnd)
  }

  private mutating func noteFields(_ kind: String, _ name: String, _ body: Range<Int>) throws {
    let start = body.lowerBound
    switch kind {
    case "file": try noteFields(name, of: "qemu-header", at: start)
    case "configuration", "description":
      try note("\(name).type", start..<start + 1)
      try note("\(name).length", start + 1..<start + 5)
      try note("\(name).\(kind == "description" ? "text" : "name")", start + 5..<body.upperBound)
    case "session":
      try noteFields(name, of: "session", at: start)
      try noteEvidence(name, behind: "session", at: start)
    case "map":
      try noteFields(name, of: "guest-map-header", at: start)
      let size = try Self.size(of: "guest-map-entry")
      for index in 0..<value(start, 4) {
        let entry = try start + Self.size(of: "guest-map-header") + index * size
        try note("\(name).entry[\(index)]", entry..<entry + size)
        try noteFields("\(name).entry[\(index)]", of: "guest-map-entry", at: entry)
      }
    case "page": try noteFields(name, of: "page-record", at: start)
    case "token": try noteFields(name, of: "epoch-token", at: start)
    case "machine": try noteFields(name, of: "machine", at: start)
    case "commit": try noteFields(name, of: "commit", at: start)
    case "vcpu", "service", "secrets", "states":
      try noteFields(name, of: "final-record", at: start)
      try note("\(name).ciphertext", start + Self.size(of: "final-record")..<body.upperBound)
    case "seal":
      try noteFields(name, of: "seal", at: start)
      let (leaves, signature) = (try start + Self.size(of: "seal"), body.upperBound - 96)
      try note("\(name).leaves", leaves..<signature)
      try note("\(name).signature", signature..<body.upperBound)
      for (index, leaf) in stride(from: leaves, to: signature, by: 32).enumerated() {
        try note("\(name).leaf[\(index)]", leaf..<leaf + 32)
      }
    case "optional": try note("\(name).length", start..<start + 4)
    default: break
    }
  }

  /// Page records by what came before and comes after for the same address.
  private mutating func noteRevisions() throws {
    let records = try parts.filter { $0.kind == "page" }.map {
      (
        part: $0, gpa: try number("gpa", of: "page-record", at: $0.body),
        operation: try number("operation", of: "page-record", at: $0.body)
      )
    }
    var found: [String: [Range<Int>]] = [:]
    for (index, record) in records.enumerated() {
      let (before, after) = (records[..<index], records[(index + 1)...])
      let range = record.part.start..<record.part.end
      let older = before.last { $0.gpa == record.gpa }
      let comesAgain = after.contains { $0.gpa == record.gpa }
      if older == nil, !comesAgain { found["once", default: []].append(range) }
      if record.operation == 2, let older {
        found["again", default: []].append(range)
        found["older", default: []].append(older.part.start..<older.part.end)
      }
      if record.operation == 3 {
        found["cancel", default: []].append(range)
        if !comesAgain { found["withdrawn", default: []].append(range) }
      }
    }
    for (name, ranges) in found.sorted(by: { $0.key < $1.key }) {
      for (index, range) in ranges.enumerated() { try note("page.\(name)[\(index)]", range) }
    }
  }

  private mutating func noteShared() throws {
    var counts = ["page": 0, "content": 0, "zero": 0]
    for record in shared {
      for kind in ["page", record.isZero ? "zero" : "content"] {
        let name = "ram.\(kind)[\(counts[kind] ?? 0)]"
        counts[kind, default: 0] += 1
        let (range, content) = (record.range, record.content)
        try note(name, range)
        try note("\(name).word", range.lowerBound..<range.lowerBound + 8)
        if content > range.lowerBound + 8 {
          try note("\(name).name", range.lowerBound + 8..<content)
        }
        try note("\(name).\(record.isZero ? "fill" : "content")", content..<range.upperBound)
      }
    }
  }
}
