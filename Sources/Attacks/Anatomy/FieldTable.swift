internal import Cryptography
internal import Errors
internal import Guest
internal import Migration
internal import QEMUStream
internal import SEVSNP
internal import SVSM
internal import Wire

/// The fields of one part of a stream, according to the layouts declared for it.
struct FieldTable {
  typealias Step = PlaceSyntax.Step
  /// Converts a step's index to a number below a count; nil when there is none.
  typealias Chooser = (Step, Int) throws(MigrationError) -> Int?

  private let input: Scene.Input
  private let part: Anatomy.Part

  init(_ input: Scene.Input, part: Anatomy.Part) {
    self.input = input
    self.part = part
  }

  /// Names of fields that a part may have several of.
  private static let repeated: Set<String> = ["entry", "leaf", "sealed"]
  /// Names of fields that have fields of their own.
  private static let nested: Set<String> = ["entry", "report", "sealed"]

  /// A field of a section's header: type, id, name, instance, version.
  func header(_ name: String) -> Range<UInt64>? {
    let (front, end) = (StreamGrammar.PartHeader.self, Anatomy.HeaderEnd.self)
    if let field = front.range(of: name) { return field.moved(by: part.start) }
    if part.kind.hasShortHeader { return nil }
    let endStart = part.body - UInt64(end.size)
    if name == "name" { return part.start + UInt64(front.size)..<endStart }
    return end.range(of: name)?.moved(by: endStart)
  }

  /// The bytes of the field that `steps` name, from the outer to the inner one.
  func find(_ steps: [Step], _ choose: Chooser) throws(MigrationError) -> Range<UInt64>? {
    guard let first = steps.first else { return part.start..<part.end }
    let rest = steps.dropFirst().first
    // Only entries and leaves can be indexed; only entries and reports have fields of their own.
    guard first.index == nil || Self.repeated.contains(first.name), rest?.index == nil,
      steps.count <= (Self.nested.contains(first.name) ? 2 : 1)
    else { return nil }
    let body = part.body
    let bodyEnd = body + part.bodySize
    switch part.kind {
    case .session:
      return try evidence(TransferData.Layout.self, first, rest)
        ?? field(TransferData.Layout.self, first, at: body)
    case .map:
      if first.name == "entry" { return try mapEntry(first, rest, choose) }
      return field(GuestMap.Header.self, first, at: body)
    case .page: return field(PageMetadata.Layout.self, first, at: body)
    case .token: return field(EpochToken.Layout.self, first, at: body)
    case .machine:
      if first.name == "entry" || first.name == "sealed" {
        return try machineEntry(first, rest, choose)
      }
      return field(MachineState.Layout.self, first, at: body)
    case .final:
      if first.name == "ciphertext" { return body + UInt64(FinalRecord.Layout.size)..<bodyEnd }
      return field(FinalRecord.Layout.self, first, at: body)
    case .commit: return field(CommitRecord.Layout.self, first, at: body)
    case .seal: return try seal(first, choose)
    case .file: return field(StreamGrammar.Header.self, first, at: body)
    case .configuration: return try tagged(first, text: "name")
    case .description: return try tagged(first, text: "text")
    case .offer:
      return try evidence(MigrationData.Layout.self, first, rest)
        ?? field(MigrationData.Layout.self, first, at: body)
    case .instance: return try instance(first)
    case .optional:
      return first.name == "length" ? body..<body + 4 : nil
    case .device, .ramStart, .ramPart, .ramEnd, .pagesStart, .pagesEnd, .epochsStart, .epochsEnd,
      .eof:
      return nil
    }
  }

  private func field(
    _ record: any WireRecord.Type, _ step: Step, at start: UInt64
  ) -> Range<UInt64>? {
    record.range(of: step.name)?.moved(by: start)
  }

  /// A record that is not a section: a type byte, a 4-byte length, and that many bytes of `text`.
  private func tagged(_ step: Step, text: String) throws(MigrationError) -> Range<UInt64>? {
    let head = StreamGrammar.TextHeader.self
    let start = part.body + UInt64(head.size)
    // QEMU's subsections may follow the text of a configuration.
    if step.name == text {
      return try start..<start + input.store.number(in: head.range(of: \.length), from: part.body)
    }
    return field(head, step, at: part.body)
  }

  private func seal(_ step: Step, _ choose: Chooser) throws(MigrationError) -> Range<UInt64>? {
    let leaves = part.body + UInt64(Seal.Layout.size)
    let signature = leaves + UInt64(input.anatomy.leafCount * SHA256.size)
    switch step.name {
    case "leaf":
      guard let index = try choose(step, input.anatomy.leafCount) else { return nil }
      let start = leaves + UInt64(index * SHA256.size)
      return start..<start + UInt64(SHA256.size)
    case "leaves": return leaves..<signature
    case "signature": return signature..<part.body + part.bodySize
    default: return field(Seal.Layout.self, step, at: part.body)
    }
  }

  /// The offer follows the fixed part of an instance file, which states the offer's length; the
  /// checksum is last.
  private func instance(_ step: Step) throws(MigrationError) -> Range<UInt64>? {
    let layout = SVSMInstance.Layout.self
    let end = part.body + part.bodySize
    switch step.name {
    case "offer":
      guard let length = try number(layout.range(of: \.offerLength)) else { return nil }
      let start = part.body + UInt64(layout.size)
      return start..<start + length
    case "checksum":
      let size = UInt64(SHA256.size)
      return part.bodySize < size ? nil : end - size..<end
    default: return field(layout, step, at: part.body)
    }
  }

  /// The number in a field of the fixed part; nil when the part ends before the field does.
  private func number(_ field: Range<Int>) throws(MigrationError) -> UInt64? {
    guard UInt64(field.upperBound) <= part.bodySize else { return nil }
    return try input.store.number(in: field, from: part.body)
  }

  /// The fields after a fixed part: `report`, a field of the report, and `certificates`.
  private func evidence(
    _ record: any WireRecord.Type, _ first: Step, _ rest: Step?
  ) throws(MigrationError) -> Range<UInt64>? {
    guard first.name == "report" || first.name == "certificates",
      let place = record.range(of: "report_length"), let length = try number(place)
    else { return nil }
    let (start, end) = (part.body + UInt64(record.size), part.body + part.bodySize)
    let border = start + length
    guard border <= end else { return nil }
    if first.name == "certificates" { return border < end ? border..<end : nil }
    guard length > 0 else { return nil }
    guard let rest else { return start..<border }
    return field(AttestationReport.Layout.self, rest, at: start)
  }

  private func mapEntry(
    _ step: Step, _ rest: Step?, _ choose: Chooser
  ) throws(MigrationError) -> Range<UInt64>? {
    let layout = GuestMap.Entry.self
    let head = GuestMap.Header.size
    guard let index = try choose(step, (Int(part.bodySize) - head) / layout.size) else {
      return nil
    }
    let start = part.body + UInt64(head + index * layout.size)
    guard let rest else { return start..<start + UInt64(layout.size) }
    return field(layout, rest, at: start)
  }

  /// An entry of the machine, counted among all entries or among the sealed ones. Entries differ in
  /// length, so they are walked.
  private func machineEntry(
    _ step: Step, _ rest: Step?, _ choose: Chooser
  ) throws(MigrationError) -> Range<UInt64>? {
    let (layout, fixed) = (MachineState.Layout.self, MachineState.EntryLayout.self)
    let store = input.store
    var next = part.body + UInt64(layout.size)
    next += try store.number(in: layout.range(of: \.configurationLength), from: part.body)
    next += try store.number(in: layout.range(of: \.descriptionLength), from: part.body)
    var found: [(start: UInt64, data: UInt64, end: UInt64)] = []
    for _ in 0..<(try store.number(in: layout.range(of: \.count), from: part.body)) {
      guard next + UInt64(fixed.size) <= part.end else { return nil }
      let place = try store.number(in: fixed.range(of: \.place), from: next)
      let data =
        try next + UInt64(fixed.size) + store.number(in: fixed.range(of: \.nameLength), from: next)
      // Place 0: the body follows the name.
      let end =
        place == 0 ? try data + store.number(in: fixed.range(of: \.length), from: next) : data
      if step.name == "entry" || place == MachineState.sealedPlace {
        found.append((next, data, end))
      }
      next = end
    }
    guard let index = try choose(step, found.count) else { return nil }
    let entry = found[index]
    switch rest?.name {
    case nil: return entry.start..<entry.end
    case "name": return entry.start + UInt64(fixed.size)..<entry.data
    case "data": return entry.data..<entry.end
    default: return rest.flatMap { field(fixed, $0, at: entry.start) }
    }
  }
}

extension Range<Int> {
  /// The same bytes in a record that begins at `start`.
  func moved(by start: UInt64) -> Range<UInt64> {
    start + UInt64(lowerBound)..<start + UInt64(upperBound)
  }

  /// The same bytes in a record that begins at `start`.
  func moved(by start: Int) -> Range<Int> { start + lowerBound..<start + upperBound }
}
