package import Errors

/// The configuration section: the machine of the stream, directly after the file header.
///
///     offset  size  field
///          0     4  length       of the machine's name, big-endian
///          4     n  name
///     then subsections, each: 05, name, version (4 bytes, 1), body
package struct Configuration: Equatable, Sendable {
  /// Longest machine name that is read; those of QEMU have fewer than 32 bytes.
  package static let nameLimit = 255

  /// The machine's name as it is in the stream: `pc-q35-10.0`. May be empty.
  package var machine: [UInt8]
  /// `configuration/target-page-bits`; absent on x86.
  package var targetPageBits: UInt32?
  /// `configuration/capabilities`: the capabilities that change the stream (`x-ignore-shared`,
  /// `mapped-ram`).
  package var capabilities: [SectionName]?
  /// `configuration/uuid`: 16 bytes.
  package var uuid: [UInt8]?

  package init(
    machine: String, targetPageBits: UInt32? = nil, capabilities: [SectionName]? = nil,
    uuid: [UInt8]? = nil
  ) {
    self.machine = Array(machine.utf8)
    self.targetPageBits = targetPageBits
    self.capabilities = capabilities
    self.uuid = uuid
  }

  /// The machine's name for people, escaped like a `SectionName`; empty without a name.
  package var machineText: String { SectionName(machine)?.description ?? "" }
}

extension StreamInput {
  /// Reads a configuration section whose type byte has been consumed.
  /// - Throws: `STREAM-CONFIGURATION` for a name that is too long, or a subsection that is unknown,
  ///   repeated, or of another version.
  package func readConfiguration() throws(MigrationError) -> Configuration {
    let start = offset
    let length = try read(UInt32.self)
    guard length <= Configuration.nameLimit else {
      throw MigrationError(
        .configuration, "machine name is too long", at: start,
        expected: "at most \(Configuration.nameLimit) bytes", got: "\(length)")
    }
    var configuration = Configuration(machine: "")
    configuration.machine = try readArray(Int(length))
    while try peekByte() == RecordType.subsection.rawValue {
      try readConfigurationSubsection(into: &configuration)
    }
    return configuration
  }

  private func readConfigurationSubsection(
    into configuration: inout Configuration
  ) throws(MigrationError) {
    let start = offset
    consume(1)
    let name = try readName()
    let version = try read(UInt32.self)
    let isRepeated: Bool
    switch name {
    case "configuration/target-page-bits":
      isRepeated = configuration.targetPageBits != nil
      configuration.targetPageBits = try read()
    case "configuration/capabilities":
      isRepeated = configuration.capabilities != nil
      let count = try read(UInt32.self)
      // QEMU has fewer than 64 capabilities, and each takes at least two bytes.
      guard count <= 64 else {
        throw MigrationError(
          .configuration, "too many capabilities", at: start, expected: "at most 64",
          got: "\(count)")
      }
      var names: [SectionName] = []
      for _ in 0..<count { names.append(try readName()) }
      configuration.capabilities = names
    case "configuration/uuid":
      isRepeated = configuration.uuid != nil
      configuration.uuid = try readArray(16)
    default:
      throw MigrationError(
        .configuration, "unknown configuration subsection", at: start, got: name.description)
    }
    guard !isRepeated, version == 1 else {
      throw MigrationError(
        .configuration, isRepeated ? "subsection is repeated" : "subsection has another version",
        in: .section(name), at: start, expected: "version 1, once", got: "\(version)")
    }
  }
}
