package import Errors

/// The kind of a file, recognised by its first bytes.
package enum FileKind: Sendable, CaseIterable {
  case stream
  case libvirtImage
  case qcow2Image
  case channel
  case cprState
  case gzip
  case xz
  case zstd
  case lz4
  case oldLZ4
  case bzip2
  case lzop
  case elf
  case kdump
  case flattenedKdump
  case lime
  case vmdk
  case vhdx
  case vhd
  case vdi
  case zip
  case instance
  case offer
  case abort
  case detachedSeal

  /// The first bytes of such a file. None of the kinds begins with the magic of another.
  package var magic: [UInt8] {
    switch self {
    case .stream: Array("QEVM".utf8)
    case .libvirtImage: LibvirtImage.magicStart
    case .qcow2Image: QCow2Header.magic
    case .channel: [0x11, 0x22, 0x33, 0x44]
    case .cprState: CPRState.Header.magic
    case .gzip: [0x1f, 0x8b]
    case .xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
    case .zstd: [0x28, 0xb5, 0x2f, 0xfd]
    case .lz4: [0x04, 0x22, 0x4d, 0x18]
    case .oldLZ4: [0x02, 0x21, 0x4c, 0x18]
    case .bzip2: Array("BZh".utf8)
    case .lzop: [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]
    case .elf: [0x7f, 0x45, 0x4c, 0x46]
    case .kdump: Array("KDUMP   ".utf8)
    case .flattenedKdump: Array("makedumpfile".utf8)
    case .lime: Array("EMiL".utf8)
    case .vmdk: Array("KDMV".utf8)
    case .vhdx: Array("vhdxfile".utf8)
    case .vhd: Array("conectix".utf8)
    case .vdi: Array("<<< ".utf8)
    case .zip: Array("PK\u{3}\u{4}".utf8)
    case .instance: Array("SVSMINST".utf8)
    case .offer: Array("SVSMOFFR".utf8)
    case .abort: Array("SVSMABRT".utf8)
    case .detachedSeal: Array("SVSMSEAL".utf8)
    }
  }

  /// The name of the kind in a message.
  package var name: String {
    switch self {
    case .stream: "a QEMU stream"
    case .libvirtImage: "an image of libvirt"
    case .qcow2Image: "a qcow2 image"
    case .channel: "a multifd channel; the main channel comes first"
    case .cprState: "the state of a CPR migration: descriptors; its stream is another file"
    case .gzip: "packed with gzip"
    case .xz: "packed with xz"
    case .zstd: "packed with zstd"
    case .lz4, .oldLZ4: "packed with lz4"
    case .bzip2: "packed with bzip2"
    case .lzop: "packed with lzop"
    case .elf: "an ELF file: a core has a guest's memory, and no stream"
    case .kdump, .flattenedKdump: "a kdump file: it has a guest's memory, and no stream"
    case .lime: "a LiME dump: it has a guest's memory, and no stream"
    case .vmdk, .vhdx, .vhd, .vdi: "a disk image of another program"
    case .zip: "a zip archive"
    case .instance: "an instance file: it has the keys of an SVSM, and no stream"
    case .offer: "an offer, which svsm-mig-attest shows"
    case .abort: "an abort, for svsm-mig-save --resume-after"
    case .detachedSeal: "a detached seal, for svsm-mig-verify --seal"
    }
  }

  /// Whether a stream can be read from such a file.
  package var holdsStream: Bool {
    switch self {
    case .stream, .libvirtImage, .qcow2Image: true
    case .channel, .cprState, .elf, .kdump, .flattenedKdump, .lime: false
    case .vmdk, .vhdx, .vhd, .vdi, .zip: false
    case .instance, .offer, .abort, .detachedSeal: false
    case .gzip, .xz, .zstd, .lz4, .oldLZ4, .bzip2, .lzop: true
    }
  }

  /// The kind of the bytes at the front of `input`. Consumes nothing, and waits for no more bytes
  /// than the decision needs.
  /// - Returns: nil when the bytes are of no known kind.
  /// - Throws: the errors of reading.
  package init?(detecting input: StreamInput) throws(MigrationError) {
    var kinds = Self.allCases
    var count = 0
    while !kinds.isEmpty {
      count += 1
      guard try input.available(atLeast: count) >= count else { return nil }
      let byte = input.bytes[count - 1]
      kinds.removeAll { $0.magic[count - 1] != byte }
      if let found = kinds.first(where: { $0.magic.count == count }) {
        self = found
        return
      }
    }
    return nil
  }
}
