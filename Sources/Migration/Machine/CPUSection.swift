internal import Errors
internal import JSON
internal import SEVSNP
internal import Wire

/// A decoded `cpu` section.
struct CPUSection {
  static let required: [(String, VMSA.Register)] = [
    ("env.eip", \.rip), ("env.eflags", \.rflags), ("env.cr[0]", \.cr0), ("env.cr[2]", \.cr2),
    ("env.cr[3]", \.cr3), ("env.cr[4]", \.cr4), ("env.efer", \.efer), ("env.star", \.star),
    ("env.lstar", \.lstar), ("env.cstar", \.cstar), ("env.fmask", \.sfmask),
    ("env.kernelgsbase", \.kernelGSBase), ("env.sysenter_cs", \.sysenterCS),
    ("env.sysenter_esp", \.sysenterESP), ("env.sysenter_eip", \.sysenterEIP), ("env.pat", \.gPAT),
    ("env.mxcsr", \.mxcsr), ("env.fpuc", \.x87FCW), ("env.fpus_vmstate", \.x87FSW),
  ]
  static let optional: [(String, VMSA.Register)] = [
    ("env.tsc_aux", \.tscAux), ("env.xcr0", \.xcr0), ("env.xss", \.xss), ("env.pkru", \.pkru),
    ("env.fpop", \.x87FOP), ("env.fpip", \.x87RIP), ("env.fpdp", \.x87DP),
  ]

  private let state: JSON
  /// Subsections, which hold registers that QEMU saves only when they are in use.
  private let subsections: [JSON]

  init(_ state: JSON) {
    self.state = state
    subsections = (state.members ?? []).filter { $0.key.hasPrefix("cpu/") }.map(\.value)
  }

  /// A register of the section or of one of its subsections.
  func number(_ name: String) -> UInt64? {
    if let value = Self.number(state[name]) { return value }
    for subsection in subsections {
      if let value = Self.number(subsection[name]) { return value }
    }
    return nil
  }

  func required(_ name: String) throws(MigrationError) -> UInt64 {
    guard let value = number(name) else { throw Self.missing(name) }
    return value
  }

  func required(_ name: String, _ index: Int) throws(MigrationError) -> UInt64 {
    guard let value = Self.number(element(name, index)) else { throw Self.missing(name) }
    return value
  }

  func element(_ name: String) -> JSON? { state[name] }

  func element(_ name: String, _ index: Int) -> JSON? {
    guard let elements = state[name]?.array, index < elements.count else { return nil }
    return elements[index]
  }

  /// QEMU keeps a segment's attributes at their positions in the second word of a descriptor.
  static func segment(_ json: JSON?, _ name: String) throws(MigrationError) -> Segment {
    guard let json, let selector = number(json["selector"]), let base = number(json["base"]),
      let limit = number(json["limit"]), let flags = number(json["flags"])
    else { throw missing(name) }
    return Segment(
      selector: UInt16(truncatingIfNeeded: selector),
      attributes: UInt16(truncatingIfNeeded: flags >> 8 & 0xFF | flags >> 12 & 0xF00),
      limit: UInt32(truncatingIfNeeded: limit), base: base)
  }

  /// Writes one half of the vector registers to `field`, 16 bytes for each register.
  /// - Parameter first: index of the quadword in a register with which the half begins.
  func putVectors(_ name: String, _ first: Int, to field: inout [UInt8]) {
    for register in 0..<16 {
      let parts = element(name, register)
      for part in 0..<2 {
        guard let value = Self.number(parts?["_q_ZMMReg[\(first + part)]"]) else { continue }
        var bytes: [UInt8] = []
        bytes.append(littleEndian: value)
        let start = register * 16 + part * 8
        field.replaceSubrange(start..<start + bytes.count, with: bytes)
      }
    }
  }

  /// Writes the x87 registers. QEMU orders them by physical register, a VMSA as FXSAVE does from
  /// the top of the stack. A VMSA's tag word is the full one: two bits for each physical register,
  /// 3 for empty.
  func putX87(_ vmsa: inout VMSA) throws(MigrationError) {
    let top = Int(try required("env.fpus_vmstate") >> 11 & 7)
    let valid = try required("env.fptag_vmstate")
    var stack = vmsa.x87ST
    var tags: UInt64 = 0
    for place in 0..<8 {
      guard let bytes = Self.bytes(element("env.fpregs", place)?["tmp"]), bytes.count == 10 else {
        throw Self.missing("env.fpregs")
      }
      var cursor = ByteCursor(bytes.span)
      let (mantissa, exponent) = (try cursor.read(UInt64.self), try cursor.read(UInt16.self))
      var register: [UInt8] = []
      register.append(littleEndian: mantissa)
      register.append(littleEndian: exponent)
      let start = (place + 8 - top) % 8 * register.count
      stack.replaceSubrange(start..<start + register.count, with: register)
      let tag = valid >> UInt64(place) & 1 == 1 ? Self.tag(mantissa, exponent) : 3
      tags |= tag << UInt64(2 * place)
    }
    vmsa.x87ST = stack
    vmsa.x87FTW = tags
  }

  /// The x87 tag of a register: 0 valid, 1 zero, 2 special (AMD64 APM volume 1, 6.2.4).
  private static func tag(_ mantissa: UInt64, _ exponent: UInt16) -> UInt64 {
    let exponent = exponent & 0x7FFF
    if exponent == 0, mantissa == 0 { return 1 }
    return exponent == 0 || exponent == 0x7FFF || mantissa >> 63 == 0 ? 2 : 0
  }

  /// A number as `VMDescription.Body.decode` writes it: `0x…`, with more text after negative ones.
  private static func number(_ json: JSON?) -> UInt64? {
    guard let text = json?.string, text.hasPrefix("0x") else { return nil }
    return UInt64(text.dropFirst(2).prefix { $0 != " " }, radix: 16)
  }

  private static func bytes(_ json: JSON?) -> [UInt8]? {
    json?.string.flatMap { Hex.decode($0.filter { $0 != " " }) }
  }

  private static func missing(_ name: String) -> MigrationError {
    MigrationError(.vcpuSyntax, "section has no register \(name)")
  }
}
