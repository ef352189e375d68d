internal import SEVSNP
internal import Wire

/// The registers of a vCPU as text.
enum RegisterText {
  /// Registers by their names in a VMSA, in the order in which debuggers show them.
  private static let numbers = [
    ["RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP", "RSP"],
    (8...15).map { "R\($0)" }, ["RIP", "RFLAGS"],
    ["CR0", "CR2", "CR3", "CR4", "XCR0", "EFER"],
    ["DR0", "DR1", "DR2", "DR3", "DR6", "DR7"],
    [
      "STAR", "LSTAR", "CSTAR", "SFMASK", "KERNEL_GS_BASE", "SYSENTER_CS", "SYSENTER_ESP",
      "SYSENTER_EIP", "G_PAT", "TSC_AUX", "XSS", "PKRU",
    ],
    ["MXCSR", "X87_FCW", "X87_FSW", "X87_FTW"],
  ]
  private static let segments = [
    "CS", "SS", "DS", "ES", "FS", "GS", "LDTR", "TR", "GDTR", "IDTR",
  ]
  private static let vectors = ["X87_ST", "XMM", "YMM_HIGH"]

  /// Names of the registers that a vCPU without SNP has, too.
  private static let named = Set(numbers.joined()).union(segments).union(vectors)

  /// The registers that a vCPU without SNP has, too, in the order of the page.
  static func shared(by page: VMSA) -> [VMSA.Value] {
    page.values().filter { named.contains($0.name) }
  }

  /// - Parameter isWhole: whether to show all of the page, not only the registers that a vCPU without
  ///   SNP has, too.
  static func show(_ page: VMSA, isWhole: Bool, _ out: inout RenderedText) {
    let values = page.values()
    var byName: [String: VMSA.Value] = [:]
    for value in values { byName[value.name] = value }
    if isWhole {
      let features = page.features
      out.field(
        "SEV features",
        Hex.number(features.rawValue) + ": " + Spelled.list(features.setBits), indent: 2)
    }
    for group in numbers { show(numbers: group.compactMap { byName[$0] }, &out) }
    out.table(
      segments.compactMap { name in
        byName[name]?.segment.map { segment in
          [
            name, "selector \(Hex.number(segment.selector.value, digits: 4))",
            "attributes \(Hex.number(segment.attributes.value, digits: 4))",
            "limit \(Hex.number(segment.limit.value, digits: 8))",
            "base \(Hex.number(segment.base.value, digits: 16))",
          ]
        }
      })
    for name in vectors { byName[name].map { show(bytes: $0, &out) } }
    guard isWhole else { return }
    let others = values.filter { !named.contains($0.name) }
    show(numbers: others.filter { $0.number != nil }, &out)
    for value in others where value.number == nil { show(bytes: value, &out) }
  }

  /// Shows two registers on each line.
  private static func show(numbers values: [VMSA.Value], _ out: inout RenderedText) {
    let numbers = values.map { value in
      "\(value.name.padded(to: 18))\(Hex.number(value.number ?? 0, digits: 2 * value.bytes.count))"
        .padded(to: 40)
    }
    for start in stride(from: 0, to: numbers.count, by: 2) {
      out.line("  " + numbers[start..<min(start + 2, numbers.count)].joined())
    }
  }

  private static func show(bytes value: VMSA.Value, _ out: inout RenderedText) {
    if value.bytes.allSatisfy({ $0 == 0 }) {
      out.field(value.name, "\(value.bytes.count) zero bytes", width: 20, indent: 2)
    } else {
      out.line("  " + value.name)
      for line in HexDump.lines(value.bytes, at: 0) { out.line("    " + line) }
    }
  }
}
