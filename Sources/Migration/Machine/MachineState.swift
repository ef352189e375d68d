internal import Errors
internal import Guest
package import QEMUStream

/// What a VMM keeps of a guest in addition to its memory: its devices as a QEMU stream holds them,
/// and everything else that is needed to write that stream again around the RAM.
///
/// It is the host's data and is not trusted, except for sections whose content is the guest's own
/// (`isSealed`): a source SVSM carries those, and a stream holds their bytes as ciphertext only.
package struct MachineState: Sendable, Equatable {
  /// One record of the stream, in order.
  package enum Entry: Sendable, Equatable {
    /// A section other than `ram`, with its body. The offset in the header has no meaning.
    case section(SectionHeader, body: [UInt8])
    case command(StreamCommand)
    /// The place at which the `ram` section starts, has its pages, or ends.
    case ram(SectionHeader)
    /// All bytes that follow, including the end of the stream, from a section on whose length
    /// cannot be found. It is the last entry.
    case rest([UInt8])
  }

  /// Largest number of entries in a state. A guest with dirty bitmaps has tens of thousands: each part of a
  /// section is one.
  package static let maximumCount = 65536
  /// Largest size in bytes of a state with all of its bodies, as a bundle has it.
  package static let maximumSize = GuestDescription.maximumMachineStateSize

  /// The configuration record: the machine, with its subsections; nil in streams of machine types
  /// before 2.4.
  package var configuration: Configuration?
  /// Whether sections end with a footer.
  package var hasFooters = true
  /// The records of the stream, in order.
  package var entries: [Entry] = []
  /// Text of the VM description; nil in a stream without one.
  package var description: [UInt8]?

  package init() {}

  /// The minimum for a QEMU of this machine: RAM and no device. Devices stay as after a reset.
  package init(machine: String) {
    configuration = Configuration(machine: machine)
    for kind in [SectionHeader.Kind.start, .part, .end] {
      entries.append(
        .ram(SectionHeader(kind, id: 1, name: RAMSection.name, version: RAMSection.version)))
    }
    var described: [UInt8] = []
    described.append(VMDescription())
    // Without the type and length of the record.
    description = Array(described.dropFirst(5))
  }

  /// Whether a section's content is the guest's own: registers of its vCPUs or the state of its
  /// TPM. The TPM's interface (`tpm-tis`, `tpm-crb`) is included, because its buffer holds the last
  /// response of the TPM.
  private static func isSealed(_ name: SectionName) -> Bool {
    name == "cpu" || name == "cpu_common" || isOfTPM(name.bytes)
  }

  /// Whether the name of a section or RAM block is that of a part of a TPM.
  static func isOfTPM(_ name: some Sequence<UInt8>) -> Bool { name.starts(with: "tpm-".utf8) }

  /// Where the body of an entry is in an SNP stream.
  enum Place: UInt8 {
    /// Within the `snp-machine` section. For a command, this is the place of its payload.
    case inline = 0
    /// In a section of its own after `snp-machine`, as in the stream it came from.
    case section = 1
    /// In the service state that the SVSM seals.
    case sealed = 2
    /// In the RAM sections.
    case ram = 3
  }

  /// Number of the place of bodies that the SVSM carries.
  package static let sealedPlace = UInt64(Place.sealed.rawValue)

  /// The place of an entry's body in an SNP stream. The body is accepted from no other place.
  static func place(of entry: Entry) -> Place {
    switch entry {
    case .ram: .ram
    case .command: .inline
    // The rest contains registers somewhere.
    case .rest: .sealed
    case .section(let header, _):
      switch header.kind {
      case .full: isSealed(header.name) ? .sealed : header.repetition > 0 ? .inline : .section
      // No section of an SNP stream comes twice under one name: one in parts could not, and what bears the
      // name of another one does not.
      case .start, .part, .end: .inline
      }
    }
  }

  /// Makes sure that the entries are those of one stream: RAM starts once, before its pages and its
  /// end; parts follow their starts; no section has the name of an SNP section; and
  /// sections with the guest's own content are whole, because parts are not sealed.
  /// - Parameter places: where each entry was read, for errors; empty for a state that was not
  ///   read.
  /// - Throws: `MACHINE-SYNTAX`.
  func validate(at places: [UInt64] = []) throws(MigrationError) {
    var place: UInt64?
    func refusal(_ what: String, _ header: SectionHeader? = nil) -> MigrationError {
      MigrationError(
        .machineSyntax, what, at: place,
        got: header.map { "\($0.kind) \($0.name) \($0.instance)" })
    }
    guard entries.count <= Self.maximumCount else { throw refusal("too many entries") }
    var table = SectionTable(allowsRepetition: true)
    var ram: [SectionHeader.Kind] = []
    for (index, entry) in entries.enumerated() {
      if index < places.count { place = places[index] }
      var header: SectionHeader
      switch entry {
      case .command: continue
      case .rest:
        guard index == entries.count - 1 else { throw refusal("an entry follows the rest") }
        continue
      case .ram(let found):
        header = found
        ram.append(header.kind)
        guard header.name == RAMSection.name, header.instance == 0,
          header.version == RAMSection.version
        else { throw refusal("not QEMU's RAM section", header) }
      case .section(let found, _):
        header = found
        guard SNPSection(header.name) == nil else {
          throw refusal("section has a name that is not allowed", header)
        }
        guard header.kind == .full || !Self.isSealed(header.name) else {
          throw refusal("a section that is to be sealed is in parts", header)
        }
      }
      do throws(MigrationError) {
        switch header.kind {
        case .start, .full: try table.open(&header)
        case .part, .end:
          let start = try table.continue(header.kind, id: header.id, at: 0)
          guard start.name == header.name, start.instance == header.instance,
            start.version == header.version
          else { throw refusal("part is not of its section", header) }
        }
      } catch {
        throw refusal("\(error.what)", header)
      }
    }
    guard ram.prefix(2) == [.start, .part], ram.count == 2 || ram.dropFirst(2) == [.end] else {
      throw refusal("start, parts and end of RAM are out of order")
    }
  }
}
