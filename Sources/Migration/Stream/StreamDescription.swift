internal import QEMUStream
internal import SVSM
internal import Wire

/// Describes the sections of an SNP stream in the VM description, field by field, so that readers
/// who know nothing of SNP walk and show them.
struct StreamDescription {
  private(set) var description: VMDescription

  init(machine: [UInt8]) {
    let name = VMDescription.Field("name", type: "buffer", size: UInt64(machine.count))
    description = VMDescription(
      configuration: VMDescription.Body(
        "configuration", version: 1,
        fields: [VMDescription.Field("len", type: "uint32", size: 4), name]))
  }

  /// Adds a section whose body is the fields of `layout`, then `rest` bytes called `restName`.
  mutating func add(
    _ section: SNPSection, instance: UInt32 = 0, fields: [VMDescription.Field]
  ) {
    description.devices.append(
      VMDescription.Device(
        name: section.name.description, instance: instance,
        body: VMDescription.Body(
          section.name.description, version: SNPSection.version, fields: fields)))
  }

  /// Adds a section of the machine's own, as its stream described it; else as bytes.
  /// - Parameter size: bytes of the body.
  mutating func add(
    _ header: SectionHeader, size: Int, describedBy machine: DescribedSections?
  ) {
    var device = machine?[header.key]
    if device?.body.size != size { device = nil }
    description.devices.append(
      device
        ?? VMDescription.Device(
          name: header.name.description, instance: header.instance,
          body: VMDescription.Body(
            header.name.description, version: header.version,
            fields: [VMDescription.Field("data", type: "buffer", size: UInt64(size))])))
  }

  /// The fields of a record: numbers where the size is a number's, else bytes.
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
