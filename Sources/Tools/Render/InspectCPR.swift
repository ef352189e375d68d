internal import JSON
internal import QEMUStream

/// The descriptors that a QEMU hands to its successor, as text and as JSON.
extension CPRState {
  private var mode: String? {
    descriptors.first.map { $0.number == nil ? "cpr-transfer" : "cpr-exec" }
  }

  /// - Parameter size: bytes that were read.
  func text(size: UInt64, _ style: Style) -> String {
    var out = RenderedText()
    out.field("State", "of a CPR migration of QEMU, \(Spelled.bytes(size)) read")
    out.field("Mode", mode ?? "not known")
    out.line()
    out.line("File descriptors", as: style.strong)
    out.table(
      [["name", "id", "descriptor"]]
        + descriptors.map { descriptor in
          [
            descriptor.name.description, "\(descriptor.id)",
            descriptor.number.map { "\($0)" } ?? "beside the state",
          ]
        })
    if omitted > 0 { out.line("… \(omitted) more") }
    if rest > 0 {
      out.line()
      out.line("\(Spelled.bytes(rest)) more are not read")
    }
    return out.takeText()
  }

  /// - Parameter size: bytes that were read.
  func json(size: UInt64) -> JSON {
    [
      "schema": "svsm-migration/cpr/1", "size": JSON(size),
      "mode": mode.map { .string($0) } ?? .null,
      "descriptors": .array(
        descriptors.map { descriptor in
          [
            "name": .string(descriptor.name.description), "id": .string("\(descriptor.id)"),
            "number": descriptor.number.map { .string("\($0)") } ?? .null,
          ]
        }), "descriptorsOmitted": JSON(omitted), "restSize": JSON(rest),
    ]
  }
}
