internal import Comparison
internal import JSON
internal import SEVSNP
internal import Wire

// How the parts of a comparison are called in text.

extension Side.Form {
  var text: String {
    switch self {
    case .snp: "SNP stream"
    case .qemu: "QEMU stream"
    case .guest: "guest"
    }
  }
}

extension Area {
  /// A thing of this area.
  func label(_ name: String) -> String {
    let kind =
      switch self {
      case .block: "RAM block"
      case .map: "memory at"
      case .secretsPage: "secrets page"
      case .pageStates: "page states"
      case .final: "final record"
      case .description: "VM description"
      default: rawValue
      }
    return name.isEmpty ? kind : "\(kind) \(name)"
  }
}

extension Cause {
  /// The reason, as the beginning of a line.
  var text: String {
    switch self {
    case .clock: "moved because time passed"
    case .rtc: "time of day moved"
    case .session: "each session has its own"
    case .generation: "rises with each migration"
    case .registers: "the same registers again"
    case .derived: "follows from the rest of the stream"
    }
  }
}

extension Uncompared {
  var text: String {
    if let pages { return "content of \(Spelled.count(pages, "private page"))" }
    return switch area {
    case .vcpu: "vCPUs"
    case .service: "services"
    case .block: "memory that is left to other files, which --memory names"
    default: area.label("")
    }
  }
}

extension Uncompared.Reason {
  var text: String {
    switch self {
    case .needsInstance: "encrypted; --instance names the destination that can read it"
    case .form: "only one side has it"
    case .unknown: "not known of one side"
    case .tooLarge: "some are larger than is kept"
    }
  }
}

extension Difference {
  /// "RIP 0x1 → 0x2", "added".
  var text: String {
    if area == .section, field == "order", case .changed(let before, let after) = change {
      return "another order: where A has \(before.short), B has \(after.short)"
    }
    if area == .final, field == "ciphertext" { return "differs, encrypted under the same key" }
    let start = field.map { "\($0)  " } ?? ""
    switch change {
    case .added: return field == nil ? "only in B" : "\(start)only in B"
    case .removed: return field == nil ? "only in A" : "\(start)only in A"
    case .changed(let before, let after):
      return "\(start)\(before.short) → \(after.short)\(Self.step(before, after))"
    case .elements(let count, let first, let before, let after):
      return
        "\(start)\(Spelled.count(count, "element")) from [\(first)] on  \(before.short) → \(after.short)"
    case .bytes(let count, let first, let before, let after, let sizes):
      let place = "from +\(Hex.number(first)) on  \(before.orNone) → \(after.orNone)"
      guard sizes.before == sizes.after else {
        return "\(start)\(sizes.before) → \(Spelled.count(sizes.after, "byte")), differs \(place)"
      }
      return "\(start)\(Spelled.count(count, "byte")) \(place)"
    }
  }

  /// How much more or less a count is.
  private static func step(_ before: JSON, _ after: JSON) -> String {
    guard let one = before.uint, let other = after.uint, one != other, one > 0, other > 0 else {
      return ""
    }
    return other > one ? " (\(other - one) more)" : " (\(one - other) fewer)"
  }
}

extension String {
  fileprivate var orNone: String { isEmpty ? "none" : self }
}

extension JSON {
  /// In a line of text.
  fileprivate var short: String {
    if isNull { return "none" }
    // The first digits tell two hashes apart.
    if let text = string, text.utf8.count >= 48, Hex.decode(text) != nil {
      return "\(text.prefix(16))…"
    }
    return string ?? bool.map { $0 ? "yes" : "no" } ?? String(decoding: compact, as: UTF8.self)
  }
}

extension PageStateFacts {
  /// "validated → shared"; of two that are in one state, what else differs.
  static func change(_ before: PageStateFacts?, _ after: PageStateFacts?) -> String {
    guard let before, let after, before.state == after.state else {
      return "\(before?.state.text ?? "none") → \(after?.state.text ?? "none")"
    }
    return facts((before.size, before.permissions), (after.size, after.permissions))
  }

  fileprivate static func facts(
    _ before: (RMPPageSize, VMPLPermissions), _ after: (RMPPageSize, VMPLPermissions)
  ) -> String {
    var parts: [String] = []
    if before.0 != after.0 { parts.append("RMP size \(before.0.text) → \(after.0.text)") }
    if before.1 != after.1 {
      parts.append(
        "VMPL0/1/2/3 \(Spelled.permissions(before.1)) → \(Spelled.permissions(after.1))")
    }
    return parts.joined(separator: ", ")
  }
}

extension PageDifference.Change {
  func sentence(_ count: UInt64, of block: String) -> String {
    let pages = "\(Spelled.count(count, "page")) of \(block)"
    let isOne = count == 1
    switch self {
    case .content: return "\(pages) \(isOne ? "differs" : "differ")"
    case .filled: return "\(pages) \(isOne ? "is" : "are") zero in A only"
    case .cleared: return "\(pages) \(isOne ? "is" : "are") zero in B only"
    case .ciphertext:
      return "\(pages) \(isOne ? "differs" : "differ"), encrypted under the same key"
    case .recordAdded: return "\(pages) \(isOne ? "is" : "are") sent as private in B only"
    case .recordRemoved: return "\(pages) \(isOne ? "is" : "are") sent as private in A only"
    case .record(let before, let after):
      var parts: [String] = []
      if before.epoch != after.epoch { parts.append("epoch \(before.epoch) → \(after.epoch)") }
      if before.operation != after.operation {
        parts.append("\(before.operation.text) → \(after.operation.text)")
      }
      let rest = PageStateFacts.facts(
        (before.size, before.permissions), (after.size, after.permissions))
      if !rest.isEmpty { parts.append(rest) }
      return "\(pages): \(parts.joined(separator: ", "))"
    }
  }
}

extension Spelled {
  /// A range of addresses as short as they are, its last address included.
  static func addresses(_ start: UInt64, pages: UInt64) -> String {
    "\(Hex.number(start))-\(Hex.number(start &+ pages &* Page.size64 &- 1))"
  }
}
