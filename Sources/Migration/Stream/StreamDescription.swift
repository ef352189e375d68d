internal import QEMUStream
internal import SVSM
internal import Wire

/// Describes the sections of an SNP stream in the VM description, field by field, so that readers
/// that do not know SNP can walk and show them.
struct StreamDescription {
  private(set) var description: VMDescription

  init(machine: [UInt8]) {
    let name = VMDescription.Field("name", type: "buffer", size: UInt64(machine.count))
    description = VMDescription(
      configuration: VMDescription.Body(
        "configuration", version: 1,
        fields: [VMDescription.Field("len", type: "uint32", size: 4), name]))
  }

  /// Adds a section whose body has these fields.
  mutating func add(
    _ section: SNPSection, instance: UInt32 = 0, fields: [VMDescription.Field]
  ) {
    description.devices.append(
      VMDescription.Device(
        name: section.name.description, instance: instance,
        body: VMDescription.Body(
          section.name.description, version: SNPSection.version, fields: fields)))
  }

  /// Adds a section of the machine, as the machine's own stream described it; if that description
  /// does not fit, as plain bytes.
  /// - Parameter size: size of the body in bytes.
  mutating func add(
    _ header: SectionHeader, size: Int, describedBy machine: DescribedSections?
  ) {
    var device = machine?[header]
    if device?.body.size != size { device = nil }
    description.devices.append(
      device
        ?? VMDescription.Device(
          name: header.name.description, instance: header.instance,
          body: VMDescription.Body(
            header.name.description, version: header.version,
            fields: [VMDescription.Field("data", type: "buffer", size: UInt64(size))])))
  }

  /// The fields of a record: an integer for each field of 1, 2, 4 or 8 bytes, else a buffer.
  static func fields(
    _ record: any WireRecord.Type, rest: (name: String, size: Int)? = nil
  ) -> [VMDescription.Field] {
    var fields = record.fields.map { field in
      let type =
        switch field.range.count {
        case 1: "uint8"
        case 2: "uint16"
        case 4: "uint32"
        case 8: "uint64"
        default: "buffer"
        }
      return VMDescription.Field(field.name, type: type, size: UInt64(field.range.count))
    }
    if let rest, rest.size > 0 {
      fields.append(VMDescription.Field(rest.name, type: "buffer", size: UInt64(rest.size)))
    }
    return fields
  }
}
