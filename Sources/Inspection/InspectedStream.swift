package import Errors
package import Guest
package import Import
internal import JSON
package import Migration
package import QEMUStream
package import SVSM
internal import Wire

/// The parts of a stream to collect beyond the overview.
package struct InspectionOptions {
  /// Lists each part of a section separately, instead of one line for consecutive parts.
  package var showsEveryPart = false
  /// The sections whose bodies are kept.
  package var bodies = SectionChoice.none
  /// Largest body that is kept, in bytes.
  package var bodyLimit = KeptBodies.bodyLimit
  /// Hashes what the sections of a plain QEMU stream hold that come in parts, all but `ram`.
  package var hashesParts = false
  /// Keeps the text of the VM description.
  package var keepsDescription = false
  /// Hashes the text of the VM description.
  package var hashesDescription = false
  /// A guest-physical address, page-aligned, of which all records are kept.
  package var page: UInt64?
  /// Restores the RAM and hashes it, that of an SNP stream as far as it is known.
  package var hashesRAM = false
  /// Counts what came in each epoch, and how often each page was sent again.
  package var countsEpochs = false
  /// Facts about the addresses of a plain QEMU stream's memory that the stream lacks.
  package var additions = ImportAdditions()
  /// Hashes each run of pages too.
  package var hashesPages = false
  /// Makes what is told the memory, with RAM blocks of these sizes in bytes.
  package var memory: (([UInt64]) throws(MigrationError) -> any PageSink)?

  package init() {}
}

/// The restored content of one RAM block.
package struct BlockMemory {
  /// SHA-256 of the whole block; nil when pages are missing, or the block is not hashed.
  package var hash: [UInt8]?
  /// Pages that are not in the stream, or are encrypted in it.
  package var missingPages: UInt64
  /// Bytes of the block that lie in holes, when they are more than are hashed; else 0.
  package var unhashedZeros: UInt64 = 0
}

/// The findings of an inspection, up to the stream's end or to the place where the stream is
/// refused.
package struct InspectedStream {
  package let kind: StreamKind
  /// Nil in a stream without a configuration section.
  package var configuration: Configuration?
  /// Bytes of the stream that were read.
  package var size: UInt64 = 0
  package var transferData: TransferData?
  package var blocks: [(name: String, length: UInt64)] = []
  /// Where the blocks lie. That of a plain stream is found only for `InspectionOptions.memory`.
  package var map = GuestMap()
  package var hasMap = false
  /// Of a plain QEMU stream: why its map is not known.
  package var mapError: MigrationError?
  package var epochs = BoundedList<EpochToken>()
  package var privatePages = PrivatePages()
  package var sharedPages = SharedPages()
  package var sections: SectionList
  /// Pieces of final state, in order, with the stream offset of each.
  package var finals = BoundedList<(record: FinalRecord, offset: UInt64)>()
  package var commit: CommitRecord?
  package var seal: Seal?
  /// Bytes of the VM description's text; nil without one.
  package var descriptionSize: Int?
  package var description: VMDescription?
  /// The text of the VM description; empty unless it was requested.
  package var descriptionText: [UInt8] = []
  /// SHA-256 of the text of the VM description; nil unless it was requested.
  package var descriptionHash: [UInt8]?
  package var bodies: KeptBodies
  /// Of a plain QEMU stream, where it was requested: what the sections hold that come in parts.
  package var parts = SectionParts()
  /// What an SNP stream says of the machine's records; bodies that are elsewhere are empty.
  package var machine: MachineState?
  /// The first commands of a plain QEMU stream.
  package private(set) var commands: [CommandFacts] = []
  package var page: PageFacts?
  /// What came in each epoch; nil unless it was requested.
  package var rounds: EpochTable?
  /// The state decrypted with the destination's keys; set only after the commit has authenticated.
  package var state: RestoredState?
  /// Why the inspection ended early; nil when the stream was read to its end.
  package var refusal: MigrationError?
  /// The reason why the stream is incomplete, where an incomplete stream was allowed. Replaces
  /// `refusal`.
  package var shortfall: MigrationError?
  /// Whether nothing was refused or found missing.
  package var isWhole: Bool { refusal == nil && shortfall == nil && leftOut.isEmpty }

  // Of plain QEMU streams:

  /// Offset in the file at which the stream begins.
  package var streamStart: UInt64 = 0
  /// The header of the libvirt image that holds the stream.
  package var image: LibvirtImage?
  /// The format in which the file is packed.
  package var packing: Packing?
  /// The snapshot of a qcow2 image whose VM state is the stream.
  package var snapshot: QCow2Snapshot?
  /// Zero bytes that follow the stream.
  package var padding: UInt64 = 0
  /// Bytes of the file that were not read, because the stream's length was given.
  package var rest: UInt64?
  /// Whether sections end with a footer; nil when none has ended.
  package var hasFooters: Bool?
  /// QEMU's name of the state in which it saved the guest: `paused`, `running`; nil when the stream
  /// does not tell.
  package var runState: String?
  /// The facts about a confidential guest, if a fork of QEMU wrote the stream.
  package var confidential: ConfidentialFacts?
  /// The restored content of each block; empty unless it was requested.
  package var memory: [BlockMemory] = []
  package var channels: [MultifdChannel] = []
  /// RAM blocks without any page in the stream, because x-ignore-shared leaves them to other files.
  package var leftOut: [SectionName] = []
  /// Pages of each RAM block of a plain stream that were not sent.
  package var missingPages: [UInt64] = []
  /// Sections other than `ram` that the VM description does not describe.
  package var undescribed: [SectionKey] = []
  /// The first section whose end cannot be determined. Nothing after its header was read.
  package var unread: SectionHeader?

  package init(_ kind: StreamKind, options: InspectionOptions) {
    self.kind = kind
    sections = SectionList(joinsParts: !options.showsEveryPart)
    bodies = KeptBodies(bodyLimit: options.bodyLimit)
    page = options.page.map { PageFacts(gpa: $0) }
  }

  /// Most commands that are kept.
  private static let commandLimit = 1024

  /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
  package mutating func note(_ command: StreamCommand) throws(MigrationError) {
    if commands.count < Self.commandLimit { commands.append(try CommandFacts(command)) }
  }

  /// Closes the open section and the open runs.
  /// - Parameter offset: number of bytes that were read.
  package mutating func close(at offset: UInt64) {
    size = offset
    sections.cut(at: offset)
    sections.close()
    privatePages.close()
    sharedPages.close()
    rounds?.finish(at: offset)
  }
}

/// Bodies of sections, kept until the VM description at the end of the stream can decode them.
package struct KeptBodies {
  package struct Entry {
    package var header: SectionHeader
    /// Stream offset of the body.
    package var offset: UInt64
    package var body: [UInt8]
  }

  /// Most bytes kept, over all bodies.
  package static let limit = 16 << 20
  /// Largest body that is kept to be shown, in bytes: its JSON takes three times as many.
  package static let bodyLimit = 2 << 20

  private let bodyLimit: Int
  package private(set) var entries: [Entry] = []
  /// Number of bodies that were not kept: too long, or found after the limit was reached.
  package private(set) var omitted = 0
  /// Bytes of all bodies that are kept.
  package private(set) var size = 0

  package init(bodyLimit: Int = KeptBodies.bodyLimit) { self.bodyLimit = bodyLimit }

  /// Keeps a copy of a body, if there is room for it.
  package mutating func keep(_ header: SectionHeader, at offset: UInt64, _ body: Span<UInt8>) {
    guard makeRoom(for: body.count) else { return }
    entries.append(Entry(header: header, offset: offset, body: Array(copying: body)))
  }

  /// Keeps a body that is in memory in any case, if there is room for it.
  package mutating func keep(_ header: SectionHeader, at offset: UInt64, _ body: [UInt8]) {
    guard makeRoom(for: body.count) else { return }
    entries.append(Entry(header: header, offset: offset, body: body))
  }

  private mutating func makeRoom(for count: Int) -> Bool {
    guard count <= bodyLimit, count <= Self.limit - size else {
      omitted += 1
      return false
    }
    size += count
    return true
  }
}

/// The records of one page of guest-physical memory.
package struct PageFacts {
  /// A record of the private pages section.
  package struct PrivateRecord {
    package var metadata: PageMetadata
    /// Stream offset of the record.
    package var offset: UInt64
    package var tag: [UInt8]
    /// SHA-256 of the 4096 bytes of ciphertext.
    package var ciphertextHash: [UInt8]
  }

  /// A record of the `ram` section.
  package struct SharedRecord {
    /// How the record has the page.
    package enum Form: String {
      case content
      case zero
      /// As a delta against the content that the page had.
      case xbzrle
      /// Compressed by zlib.
      case compressed
    }

    /// Stream offset of the page's content, or of the first byte after its record.
    package var offset: UInt64
    package var form: Form
    /// The page; nil unless `form` is `content`.
    package var content: [UInt8]?

    package init(offset: UInt64, form: Form, content: [UInt8]?) {
      (self.offset, self.form, self.content) = (offset, form, content)
    }
  }

  package let gpa: UInt64
  /// RAM block and offset that back the page.
  package var place: (block: Int, offset: UInt64)?
  package var privateRecords: [PrivateRecord] = []
  package var sharedRecords: [SharedRecord] = []
  /// The operation of the last record of the private page, including records that were not kept.
  package private(set) var lastOperation: PageMetadata.Operation?
  /// The last record of the page's shared memory, including records that were not kept.
  package private(set) var lastShared: SharedRecord?
  /// Number of records that were not kept.
  package var omitted = 0
  /// The last content of the page, decrypted with the destination's keys; nil without the keys, and
  /// after the page was cancelled.
  package var plaintext: [UInt8]?
  /// The page of a plain QEMU stream as its destination has it, from whatever part of the stream; nil
  /// when the stream does not have it.
  package var restored: [UInt8]?

  /// Most records kept, of each kind.
  package static let recordLimit = 256

  package init(gpa: UInt64) { self.gpa = gpa }

  package mutating func note(_ record: PrivateRecord) {
    lastOperation = record.metadata.operation
    if privateRecords.count < Self.recordLimit {
      privateRecords.append(record)
    } else {
      omitted += 1
    }
  }

  package mutating func note(_ record: SharedRecord) {
    lastShared = record
    if sharedRecords.count < Self.recordLimit {
      sharedRecords.append(record)
    } else {
      omitted += 1
    }
  }
}
