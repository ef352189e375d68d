internal import JSON
internal import Wire

/// Writing of the container. Every function appends one record or field, big-endian, as QEMU writes
/// it.
extension [UInt8] {
  /// `QEVM` and version 3.
  package mutating func appendFileHeader() {
    append(
      StreamGrammar.Header(magic: BE32(StreamGrammar.magic), version: BE32(StreamGrammar.version)))
  }

  /// A length byte and the name.
  package mutating func append(name: SectionName) {
    append(UInt8(name.bytes.count))
    append(contentsOf: name.bytes)
  }

  /// A whole configuration section, with its subsections in QEMU's order.
  package mutating func append(_ configuration: Configuration) {
    append(StreamGrammar.TextHeader(.configuration, length: configuration.machine.count))
    append(contentsOf: configuration.machine)
    if let bits = configuration.targetPageBits {
      appendSubsectionHeader("configuration/target-page-bits", version: 1)
      append(bigEndian: bits)
    }
    if let capabilities = configuration.capabilities {
      appendSubsectionHeader("configuration/capabilities", version: 1)
      append(bigEndian: UInt32(capabilities.count))
      for capability in capabilities { append(name: capability) }
    }
    if let uuid = configuration.uuid {
      appendSubsectionHeader("configuration/uuid", version: 1)
      append(contentsOf: uuid)
    }
  }

  /// The header of a section; for a part or end, type and id only.
  package mutating func append(_ header: SectionHeader) {
    append(StreamGrammar.PartHeader(header.kind, id: header.id))
    if header.kind == .part || header.kind == .end { return }
    append(name: header.name)
    append(bigEndian: header.instance)
    append(bigEndian: header.version)
  }

  /// The start of a subsection inside a body: `05`, the name, the version.
  package mutating func appendSubsectionHeader(_ name: SectionName, version: UInt32) {
    append(RecordType.subsection.rawValue)
    append(name: name)
    append(bigEndian: version)
  }

  /// A whole command record. Payloads have at most 65535 bytes.
  package mutating func append(_ command: StreamCommand) {
    append(RecordType.command.rawValue)
    append(bigEndian: command.code.rawValue)
    append(bigEndian: UInt16(command.payload.count))
    append(contentsOf: command.payload)
  }

  /// The end of the sections: `00`.
  package mutating func appendEOF() { append(RecordType.eof.rawValue) }

  /// A VM description record, which may follow the end of the sections: `06`, a length and the
  /// text.
  package mutating func append(_ description: VMDescription) {
    let text = description.json.compact
    append(StreamGrammar.TextHeader(.vmdescription, length: text.count))
    append(contentsOf: text)
  }
}
