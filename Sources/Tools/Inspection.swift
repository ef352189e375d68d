internal import Errors
internal import Guest
internal import JSON
internal import Migration
internal import QEMUStream
internal import SVSM
internal import Wire

/// What an inspection looks for beyond the overview.
struct InspectionOptions {
  /// One line for each part of a section instead of one for all that follow each other.
  var showsEveryPart = false
  /// Keeps the bodies of sections that the VM description can decode.
  var keepsBodies = false
  /// A guest-physical address, page-aligned, of which all is kept that is known.
  var page: UInt64?
  /// Puts the RAM of a plain QEMU stream together and hashes it.
  var hashesRAM = false
}

/// What was put together of one RAM block.
struct BlockMemory {
  /// SHA-256 of all of it; nil when pages are missing, or it is not hashed.
  var hash: [UInt8]?
  /// Pages that never came.
  var missingPages: UInt64
  /// Bytes of zeros that nothing stores, where they are more than are hashed; else 0.
  var unhashedZeros: UInt64 = 0
}

/// Everything an inspection found in a stream, up to its end or to the place where it is refused.
struct Inspection {
  enum Kind: String {
    case snp
    case qemu
  }

  let kind: Kind
  /// Nil in a stream without a configuration section.
  var configuration: Configuration?
  /// Bytes of the stream that were read.
  var size: UInt64 = 0
  var transferData: TransferData?
  var blocks: [(name: String, length: UInt64)] = []
  var map = GuestMap()
  var hasMap = false
  var epochs = BoundedList<EpochToken>()
  var privatePages = PrivatePages()
  var sharedPages = SharedPages()
  var sections: SectionList
  /// Pieces of final state, in order, with the stream offset of each.
  var finals = BoundedList<(record: FinalRecord, offset: UInt64)>()
  var commit: CommitRecord?
  var seal: Seal?
  /// Bytes of the VM description's text; nil without one.
  var descriptionSize: Int?
  var description: VMDescription?
  var bodies = KeptBodies()
  var commands: [StreamCommand] = []
  var page: PageFacts?
  /// What the destination's keys opened; only once the commit was good.
  var state: RestoredState?
  /// Why the inspection ended early; nil when the stream was read to its end.
  var refusal: MigrationError?
  /// In place of a refusal: why the stream is not whole, where that was allowed.
  var shortfall: MigrationError?

  // Of plain QEMU streams.

  /// Where the stream begins in its file.
  var streamStart: UInt64 = 0
  /// The header of the libvirt image it was in.
  var image: LibvirtImage?
  /// Whether sections end with a footer; nil when none has ended.
  var hasFooters: Bool?
  /// What was put together of each block; empty unless it was asked for.
  var memory: [BlockMemory] = []
  var channels: [MultifdChannel] = []
  /// Sections but `ram` that the VM description does not describe.
  var undescribed: [SectionKey] = []
  /// The first section whose end nothing tells: from there on nothing was read.
  var unread: SectionHeader?

  init(_ kind: Kind, options: InspectionOptions) {
    self.kind = kind
    sections = SectionList(joinsParts: !options.showsEveryPart)
    page = options.page.map { PageFacts(gpa: $0) }
  }

  /// Ends what is open: the last section and the last runs.
  /// - Parameter offset: bytes that were read.
  mutating func close(at offset: UInt64) {
    size = offset
    sections.cut(at: offset)
    sections.close()
    privatePages.close()
    sharedPages.close()
  }
}

/// Bodies of sections, kept until the VM description at the end of the stream can decode them.
struct KeptBodies {
  struct Entry {
    var header: SectionHeader
    /// Of the body.
    var offset: UInt64
    var body: [UInt8]
  }

  /// Bytes kept at most, all bodies together.
  static let limit = 32 << 20
  /// Bytes of a body that is kept: as JSON it takes three times as many.
  static let bodyLimit = 2 << 20

  private(set) var entries: [Entry] = []
  /// Bodies that are too long, or came after the limit.
  private(set) var omitted = 0
  /// Bytes of all that are kept.
  private(set) var size = 0

  mutating func keep(_ header: SectionHeader, at offset: UInt64, _ body: Span<UInt8>) {
    guard body.count <= Self.bodyLimit, body.count <= Self.limit - size else {
      omitted += 1
      return
    }
    size += body.count
    entries.append(Entry(header: header, offset: offset, body: Array(copying: body)))
  }
}

/// All that is known of one page of guest-physical memory.
struct PageFacts {
  /// A record of the private pages section.
  struct PrivateRecord {
    var metadata: PageMetadata
    /// Where the record begins in the stream.
    var offset: UInt64
    var tag: [UInt8]
    /// SHA-256 of the 4096 bytes of ciphertext.
    var ciphertextHash: [UInt8]
  }

  /// A record of the `ram` section.
  struct SharedRecord {
    /// Where the page's content, or what follows its record, stands in the stream.
    var offset: UInt64
    /// Nil for a zero page.
    var content: [UInt8]?
  }

  let gpa: UInt64
  /// Block and offset that back the page.
  var place: (block: Int, offset: UInt64)?
  var privateRecords: [PrivateRecord] = []
  var sharedRecords: [SharedRecord] = []
  /// Records beyond those kept.
  var omitted = 0
  /// The page's last content, decrypted with the destination's keys; nil without them, and after a
  /// cancel.
  var plaintext: [UInt8]?

  /// Records of either kind that are kept.
  static let recordLimit = 256

  init(gpa: UInt64) { self.gpa = gpa }

  mutating func note(_ record: PrivateRecord) {
    if privateRecords.count < Self.recordLimit {
      privateRecords.append(record)
    } else {
      omitted += 1
    }
  }

  mutating func note(_ record: SharedRecord) {
    if sharedRecords.count < Self.recordLimit {
      sharedRecords.append(record)
    } else {
      omitted += 1
    }
  }
}
