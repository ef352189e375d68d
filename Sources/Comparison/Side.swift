internal import Errors
internal import FileIO
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
  /// A stream that is a whole file as it is, neither packed nor a part of something; nil for all else.
  var file: InputFile?
  /// Bytes of all RAM blocks.
  package var memorySize: UInt64 { blocks.reduce(0) { $0 + $1.size } }
  /// Whether what an SNP stream encrypts is known.
  package internal(set) var isOpen = true
  package var vcpuCount: Int? { topics[.vcpu]?.names.count }

  /// What is known, by area; nil where nothing can be known.
  var topics: [Area: TopicList] = [:]
  /// All sections of a stream, each once, those in parts with all of their parts; nil of a guest at rest.
  var sections: [SectionFacts]?
  /// Sections of the machine, where they are not those of the stream.
  var ofMachine: [SectionFacts] = []
  var devices = MachineDevices()
  var descriptions: [DescriptionFacts] = []
  var states: PageStateMap?
  /// What distinguishes the key of one SNP stream from that of another; nil without one.
  var sessionKey: [UInt8]?

  var blocks: [(name: String, size: UInt64)] = []
  var map: GuestMap?
  /// Nil where a stream has no RAM.
  var memory: PageDigests?
  /// Blocks whose memory is not in the stream as memory: buffers of a TPM, which travel sealed.
  var sealedBlocks: Set<Int> = []
  /// Blocks whose memory is left to other files that were not given.
  var leftOutBlocks: Set<Int> = []

  /// Whether the content of a block is known or encrypted, page by page.
  func hasMemory(ofBlock index: Int) -> Bool {
    !sealedBlocks.contains(index) && !leftOutBlocks.contains(index)
  }

  init(_ name: String, _ form: Form) { (self.name, self.form) = (name, form) }

  /// Sections of the machine, whatever the form of the side.
  var machineSections: [SectionFacts] {
    guard form == .qemu, let sections else { return ofMachine }
    return sections.filter { $0.key.name != RAMSection.name }
  }

  /// Address of the page whose content each host makes itself.
  var secretsPage: UInt64? { states?.runs.first { $0.state == .secrets }?.gpa }
}
