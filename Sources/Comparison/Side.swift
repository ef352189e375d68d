internal import Errors
internal import Guest
internal import Inspection
internal import QEMUStream
internal import SEVSNP

/// One of the two things that are compared: a stream or a guest at rest, and all that is known of it.
package final class Side {
  package enum Form: String, Sendable {
    /// An SNP stream.
    case snp
    /// A plain QEMU stream.
    case qemu
    /// A bundle.
    case guest
  }

  /// Path or name, for people.
  package internal(set) var name: String
  package let form: Form
  /// QEMU's machine type; empty where nothing names it.
  package internal(set) var machine = ""
  /// Bytes of a stream.
  package internal(set) var size: UInt64?
  /// Bytes of all RAM blocks.
  package var memorySize: UInt64 { blocks.reduce(0) { $0 + $1.size } }
  /// Whether what an SNP stream encrypts is known.
  package internal(set) var isOpen = true
  package var vcpuCount: Int? { topics[.vcpu]?.count }

  /// What is known, by area; nil where nothing can be known.
  var topics: [Area: [Topic]] = [:]
  /// Sections of the machine, whatever the form of the side.
  var machineSections: [Topic] = []
  var devices = MachineDevices()
  var states: PageStateMap?
  /// What distinguishes the key of one SNP stream from that of another; nil without one.
  var sessionKey: [UInt8]?

  var blocks: [(name: String, size: UInt64)] = []
  var map: GuestMap?
  /// Nil where a stream has no RAM.
  var memory: PageDigests?
  /// Blocks whose memory is not in the stream as memory: buffers of a TPM, which travel sealed.
  var sealedBlocks: Set<Int> = []

  init(_ name: String, _ form: Form) { (self.name, self.form) = (name, form) }

  /// Address of the page whose content each host makes itself.
  var secretsPage: UInt64? { states?.runs.first { $0.state == .secrets }?.gpa }
}

/// Sections of devices, with their bodies, and the description by which they can be read.
struct MachineDevices {
  struct Key: Hashable {
    var name: SectionName
    var instance: UInt32
    var repetition: Int

    init(_ header: SectionHeader) {
      (name, instance, repetition) = (header.name, header.instance, header.repetition)
    }

    /// "hpet", "cpu 1": the instance only where it is not 0.
    var shown: String {
      let numbered = instance == 0 ? "\(name)" : "\(name) \(instance)"
      return repetition == 0 ? numbered : "\(numbered) (again, \(repetition))"
    }
  }

  private(set) var bodies = KeptBodies()
  private var description: VMDescription?
  private var described: DescribedSections?
  /// Index among the bodies.
  private(set) var indices: [Key: Int] = [:]
  private(set) var keys: [Key] = []

  init() {}

  init(_ bodies: KeptBodies, by description: VMDescription?) {
    (self.bodies, self.description) = (bodies, description)
    described = description.map(DescribedSections.init)
    for (index, entry) in bodies.entries.enumerated()
    where !entry.header.name.bytes.starts(with: "snp-".utf8) {
      let key = Key(entry.header)
      guard indices[key] == nil else { continue }
      indices[key] = index
      keys.append(key)
    }
  }

  func body(_ key: Key) -> [UInt8]? { indices[key].map { bodies.entries[$0].body } }

  func descriptionOfBody(_ key: Key) -> VMDescription.Body? {
    indices[key].flatMap { described?[bodies.entries[$0].header] }?.body
  }

  /// Reads bodies one by one.
  var decoding: DecodedDevice.Decoding { DecodedDevice.Decoding(bodies, by: description) }

  /// The values of one body; nil where there is none.
  func state(
    _ key: Key, _ decoding: inout DecodedDevice.Decoding
  ) -> Result<DeviceState, MigrationError>? {
    indices[key].map { decoding.state(of: bodies.entries[$0]) }
  }
}
