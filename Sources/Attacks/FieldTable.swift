internal import Bytes
internal import Guest
internal import Migration
internal import SEVSNP
internal import SVSM

/// The fields of one part of a stream, by the layouts that are declared for it.
struct FieldTable {
  typealias Step = PlaceSyntax.Step
  /// Turns a step's index into a number below a count; nil when there is none.
  typealias Chooser = (Step, Int) throws(MigrationError) -> Int?

  private let input: Scene.Input
  private let part: Anatomy.Part

  init(_ input: Scene.Input, part: Anatomy.Part) {
    self.input = input
    self.part = part
  }

  /// A field of a section's header: type, id, name, instance, version.
  func header(_ name: String) -> Range<UInt64>? {
    let start = part.start
    switch name {
    case "type": return start..<start + 1
    case "id": return start + 1..<start + 5
    case "name" where !part.kind.hasShortHeader: return start + 5..<part.body - 8
    case "instance" where !part.kind.hasShortHeader: return part.body - 8..<part.body - 4
    case "version" where !part.kind.hasShortHeader: return part.body - 4..<part.body
    default: return nil
    }
  }

  /// The field that `steps` name, from the outside in.
  func find(_ steps: [Step], _ choose: Chooser) throws(MigrationError) -> Range<UInt64>? {
    guard let first = steps.first else { return part.start..<part.end }
    let rest = steps.dropFirst().first
    let body = part.body
    let bodyEnd = body + part.bodySize
    switch part.kind {
    case .session:
      if let range = try evidence(
        TransferData.layout, first, rest, lengths: "report_length", end: bodyEnd)
      {
        return range
      }
      return field(TransferData.layout, first, at: body)
    case .map:
      if first.name == "entry" {
        return try entry(GuestMap.entryLayout, first, rest, from: body + 8, to: bodyEnd, choose)
      }
      return field(GuestMap.headerLayout, first, at: body)
    case .page: return field(PageMetadata.recordLayout, first, at: body)
    case .token: return field(EpochToken.layout, first, at: body)
    case .machine:
      if first.name == "entry" || first.name == "sealed" {
        return try machineEntry(first, rest, choose)
      }
      return field(MachineState.layout, first, at: body)
    case .vcpu, .service, .secrets, .states:
      if first.name == "ciphertext" { return body + 40..<bodyEnd }
      return field(FinalRecord.layout, first, at: body)
    case .commit: return field(CommitRecord.layout, first, at: body)
    case .seal:
      let fixed = UInt64(Seal.layout.size)
      let leaves = UInt64(input.anatomy.leafCount * 32)
      switch first.name {
      case "leaf":
        guard let index = try choose(first, input.anatomy.leafCount) else { return nil }
        let start = body + fixed + UInt64(index * 32)
        return start..<start + 32
      case "leaves": return body + fixed..<body + fixed + leaves
      case "signature": return body + fixed + leaves..<bodyEnd
      default: return field(Seal.layout, first, at: body)
      }
    case .file:
      switch first.name {
      case "magic": return body..<body + 4
      case "version": return body + 4..<body + 8
      default: return nil
      }
    case .configuration, .description:
      switch first.name {
      case "type": return body..<body + 1
      case "length": return body + 1..<body + 5
      case part.kind == .configuration ? "name" : "text": return body + 5..<bodyEnd
      default: return nil
      }
    case .offer:
      if let range = try evidence(
        MigrationData.layout, first, rest, lengths: "report_length", end: bodyEnd)
      {
        return range
      }
      return field(MigrationData.layout, first, at: body)
    case .instance:
      if first.name == "offer" { return body + 304..<bodyEnd - 32 }
      if first.name == "checksum" { return bodyEnd - 32..<bodyEnd }
      return field(SVSMInstance.layout, first, at: body)
    case .optional:
      return first.name == "length" ? body..<body + 4 : nil
    case .device, .ramStart, .ramPart, .ramEnd, .pagesStart, .pagesEnd, .epochsStart, .epochsEnd,
      .eof:
      return nil
    }
  }

  private func field(
    _ layout: RecordLayout, _ step: Step, at start: UInt64
  ) -> Range<UInt64>? {
    guard step.index == nil, let field = layout.fields.first(where: { $0.name == step.name })
    else { return nil }
    return start + UInt64(field.offset)..<start + UInt64(field.offset + field.size)
  }

  private func number(at offset: UInt64, size: UInt64) throws(MigrationError) -> Int {
    try input.store.read(offset..<offset + size).reduce(0) { $0 << 8 | Int($1) }
  }

  /// `report`, a field of it, and `certificates`, which follow a fixed part.
  private func evidence(
    _ layout: RecordLayout, _ first: Step, _ rest: Step?, lengths: String, end: UInt64
  ) throws(MigrationError) -> Range<UInt64>? {
    guard first.name == "report" || first.name == "certificates",
      let length = layout.fields.first(where: { $0.name == lengths })
    else { return nil }
    let start = part.body + UInt64(layout.size)
    let report = try number(at: part.body + UInt64(length.offset), size: 4)
    let border = start + UInt64(report)
    if first.name == "certificates" { return border < end ? border..<end : nil }
    guard let rest else { return report > 0 ? start..<border : nil }
    return report > 0 ? field(AttestationReport.layout, rest, at: start) : nil
  }

  private func entry(
    _ layout: RecordLayout, _ step: Step, _ rest: Step?, from: UInt64, to: UInt64,
    _ choose: Chooser
  ) throws(MigrationError) -> Range<UInt64>? {
    let size = UInt64(layout.size)
    guard let index = try choose(step, Int((to - from) / size)) else { return nil }
    let start = from + UInt64(index) * size
    guard let rest else { return start..<start + size }
    return field(layout, rest, at: start)
  }

  /// An entry of the machine, of all or of those that are sealed: entries differ in length.
  private func machineEntry(
    _ step: Step, _ rest: Step?, _ choose: Chooser
  ) throws(MigrationError) -> Range<UInt64>? {
    let body = part.body
    let count = try number(at: body + 8, size: 4)
    var next =
      try body + 24 + UInt64(number(at: body + 12, size: 4) + number(at: body + 16, size: 4))
    var found: [(start: UInt64, name: UInt64, end: UInt64)] = []
    for _ in 0..<count {
      let head = try input.store.read(next..<next + 20)
      let name = Int(head[2])
      let isInline = head[1] == 0
      let length = head[16..<20].reduce(0) { $0 << 8 | Int($1) }
      let end = next + 20 + UInt64(name + (isInline ? length : 0))
      if step.name == "entry" || head[1] == MachineState.sealedPlace {
        found.append((next, next + 20 + UInt64(name), end))
      }
      next = end
    }
    guard let index = try choose(step, found.count) else { return nil }
    let entry = found[index]
    guard let rest else { return entry.start..<entry.end }
    if rest.name == "name" { return entry.start + 20..<entry.name }
    if rest.name == "data" { return entry.name..<entry.end }
    return field(MachineState.entryLayout, rest, at: entry.start)
  }
}
