package import Errors
package import Guest
package import Import
internal import JSON
internal import Migration
package import QEMUStream
package import SVSM
internal import Wire

/// What an inspection looks for beyond the overview.
package struct InspectionOptions {
  /// One line for each part of a section instead of one for all that follow each other.
  package var showsEveryPart = false
  /// Keeps the bodies of sections that the VM description can decode.
  package var keepsBodies = false
  /// A guest-physical address, page-aligned, of which all is kept that is known.
  package var page: UInt64?
  /// Puts the RAM of a plain QEMU stream together and hashes it.
  package var hashesRAM = false

  package init() {}
}

/// What was put together of one RAM block.
package struct BlockMemory {
  /// SHA-256 of all of it; nil when pages are missing, or it is not hashed.
  package var hash: [UInt8]?
  /// Pages that never came.
  package var missingPages: UInt64
  /// Bytes of zeros that nothing stores, where they are more than are hashed; else 0.
  package var unhashedZeros: UInt64 = 0
}

/// Everything an inspection found in a stream, up to its end or to the place where it is refused.
package struct InspectedStream {
  package let kind: StreamKind
  /// Nil in a stream without a configuration section.
  package var configuration: Configuration?
  /// Bytes of the stream that were read.
  package var size: UInt64 = 0
  package var transferData: TransferData?
  package var blocks: [(name: String, length: UInt64)] = []
  package var map = GuestMap()
  package var hasMap = false
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
  package var bodies = KeptBodies()
  package var commands: [StreamCommand] = []
  package var page: PageFacts?
  /// What the destination's keys opened; only once the commit was good.
  package var state: RestoredState?
  /// Why the inspection ended early; nil when the stream was read to its end.
  package var refusal: MigrationError?
  /// In place of a refusal: why the stream is not whole, where that was allowed.
  package var shortfall: MigrationError?
  /// Whether nothing was refused or found missing.
  package var isWhole: Bool { refusal == nil && shortfall == nil && leftOut.isEmpty }

  // Of plain QEMU streams.

  /// Where the stream begins in its file.
  package var streamStart: UInt64 = 0
  /// The header of the libvirt image it was in.
  package var image: LibvirtImage?
  /// How the file it was in is packed.
  package var packing: Packing?
  /// The snapshot of a qcow2 image whose VM state it is.
  package var snapshot: QCow2Snapshot?
  /// Zero bytes that follow the stream.
  package var padding: UInt64 = 0
  /// Bytes of the file that were not looked at, since the stream's length was given.
  package var rest: UInt64?
  /// Whether sections end with a footer; nil when none has ended.
  package var hasFooters: Bool?
  /// What there is of a confidential guest, where a fork of QEMU wrote the stream.
  package var confidential: ConfidentialFacts?
  /// What was put together of each block; empty unless it was asked for.
  package var memory: [BlockMemory] = []
  package var channels: [MultifdChannel] = []
  /// RAM blocks of which the stream has nothing, since x-ignore-shared leaves them to other files.
  package var leftOut: [SectionName] = []
  /// Sections but `ram` that the VM description does not describe.
  package var undescribed: [SectionKey] = []
  /// The first section whose end nothing tells: from there on nothing was read.
  package var unread: SectionHeader?

  package init(_ kind: StreamKind, options: InspectionOptions) {
    self.kind = kind
    sections = SectionList(joinsParts: !options.showsEveryPart)
    page = options.page.map { PageFacts(gpa: $0) }
  }

  /// Ends what is open: the last section and the last runs.
  /// - Parameter offset: bytes that were read.
  package mutating func close(at offset: UInt64) {
    size = offset
    sections.cut(at: offset)
    sections.close()
    privatePages.close()
    sharedPages.close()
  }
}

/// Bodies of sections, kept until the VM description at the end of the stream can decode them.
package struct KeptBodies {
  package struct Entry {
    package var header: SectionHeader
    /// Of the body.
    package var offset: UInt64
    package var body: [UInt8]
  }

  /// Bytes kept at most, all bodies together.
  package static let limit = 32 << 20
  /// Bytes of a body that is kept: as JSON it takes three times as many.
  package static let bodyLimit = 2 << 20

  package private(set) var entries: [Entry] = []
  /// Bodies that are too long, or came after the limit.
  package private(set) var omitted = 0
  /// Bytes of all that are kept.
  package private(set) var size = 0

  package mutating func keep(_ header: SectionHeader, at offset: UInt64, _ body: Span<UInt8>) {
    guard body.count <= Self.bodyLimit, body.count <= Self.limit - size else {
      omitted += 1
      return
    }
    size += body.count
    entries.append(Entry(header: header, offset: offset, body: Array(copying: body)))
  }
}

/// All that is known of one page of guest-physical memory.
package struct PageFacts {
  /// A record of the private pages section.
  package struct PrivateRecord {
    package var metadata: PageMetadata
    /// Where the record begins in the stream.
    package var offset: UInt64
    package var tag: [UInt8]
    /// SHA-256 of the 4096 bytes of ciphertext.
    package var ciphertextHash: [UInt8]
  }

  /// A record of the `ram` section.
  package struct SharedRecord {
    /// Where the page's content, or what follows its record, stands in the stream.
    package var offset: UInt64
    /// Nil for a zero page.
    package var content: [UInt8]?
  }

  package let gpa: UInt64
  /// Block and offset that back the page.
  package var place: (block: Int, offset: UInt64)?
  package var privateRecords: [PrivateRecord] = []
  package var sharedRecords: [SharedRecord] = []
  /// Records beyond those kept.
  package var omitted = 0
  /// The page's last content, decrypted with the destination's keys; nil without them, and after a
  /// cancel.
  package var plaintext: [UInt8]?

  /// Records of either kind that are kept.
  package static let recordLimit = 256

  package init(gpa: UInt64) { self.gpa = gpa }

  package mutating func note(_ record: PrivateRecord) {
    if privateRecords.count < Self.recordLimit {
      privateRecords.append(record)
    } else {
      omitted += 1
    }
  }

  package mutating func note(_ record: SharedRecord) {
    if sharedRecords.count < Self.recordLimit {
      sharedRecords.append(record)
    } else {
      omitted += 1
    }
  }
}
