internal import Errors
internal import Wire

/// The head of an ELF core file (System V ABI, AMD64 supplement; core(5)) and the offsets of its
/// memory.
///
/// The notes come first, then one `PT_LOAD` for each range that a debugger can address. crash and
/// volatility read `p_paddr`, which is guest-physical; a debugger reads `p_vaddr`. Without page
/// tables the two are equal. Memory begins at multiples of 4096 in the file, so that holes remain
/// holes. `p_align` of a `PT_LOAD` is 0, by which crash recognizes a vmcore like that of kdump, as
/// QEMU's `dump-guest-memory` writes it.
struct ELFCore {
  /// A range of guest-physical memory that is in the file, once.
  struct Segment: Equatable {
    var gpa: UInt64
    var size: UInt64
  }

  /// A range of addresses under which memory of one segment is found.
  struct Load: Equatable {
    var virtual: UInt64
    var gpa: UInt64
    var size: UInt64
    var segment: Int
  }

  private static let headerSize = 64
  private static let programHeaderSize = 56
  private static let sectionHeaderSize = 64
  /// `PN_XNUM`: so many program headers or more are counted in the first section header.
  private static let manyHeaders = 0xFFFF

  /// Header, program headers and notes.
  let head: [UInt8]
  /// Offset of each segment in the file, in order.
  let offsets: [UInt64]
  /// Bytes of the file.
  let size: UInt64

  /// - Parameters:
  ///   - segments: ascending by address.
  ///   - loads: nil for each segment at its guest-physical address.
  init(notes: [UInt8], segments: [Segment], loads: [Load]? = nil) {
    let loads =
      loads
      ?? segments.enumerated().map {
        Load(virtual: $1.gpa, gpa: $1.gpa, size: $1.size, segment: $0)
      }
    let count = loads.count + 1
    let sections = count >= Self.manyHeaders ? Self.sectionHeaderSize : 0
    let notesStart = Self.headerSize + Self.programHeaderSize * count + sections
    var next = UInt64(notesStart + notes.count)
    var offsets: [UInt64] = []
    for segment in segments {
      next = (next + Page.size64 - 1) / Page.size64 * Page.size64
      offsets.append(next)
      next += segment.size
    }
    var head = Self.header(programHeaders: count)
    head.reserveCapacity(notesStart + notes.count)
    Self.append(
      type: 4, flags: 0, offset: UInt64(notesStart), virtual: 0, physical: 0,
      size: UInt64(notes.count), alignment: 4, to: &head)
    for load in loads {
      Self.append(
        type: 1, flags: 7, offset: offsets[load.segment] + (load.gpa - segments[load.segment].gpa),
        virtual: load.virtual, physical: load.gpa, size: load.size, alignment: 0, to: &head)
    }
    if sections > 0 { Self.appendSection(counting: count, to: &head) }
    (self.head, self.offsets, size) = (head + notes, offsets, next)
  }

  /// The parts of mappings that are in segments, which are ascending by address.
  /// - Throws: `MAP-LAYOUT` when there is none, or more than a core may have.
  static func loads(
    _ mappings: [PageTables.Mapping], in segments: [Segment]
  ) throws(MigrationError) -> [Load] {
    var loads: [Load] = []
    for mapping in mappings {
      var (low, high) = (0, segments.count)
      while low < high {
        let middle = (low + high) / 2
        if segments[middle].gpa + segments[middle].size <= mapping.gpa {
          low = middle + 1
        } else {
          high = middle
        }
      }
      let end = mapping.gpa + mapping.size
      while low < segments.count, segments[low].gpa < end {
        let start = max(segments[low].gpa, mapping.gpa)
        guard loads.count < PageTables.mappingLimit else { throw PageTables.tooMany }
        let size = min(segments[low].gpa + segments[low].size, end) - start
        loads.append(
          Load(
            virtual: mapping.virtual &+ (start - mapping.gpa), gpa: start, size: size,
            segment: low))
        low += 1
      }
    }
    guard !loads.isEmpty else {
      throw MigrationError(.guestMap, "page tables map no memory of the export")
    }
    return loads
  }

  private static func header(programHeaders: Int) -> [UInt8] {
    // Magic, 64 bits, little-endian, version 1, System V.
    var bytes: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    bytes.append(littleEndian: UInt16(4))  // e_type: core
    bytes.append(littleEndian: UInt16(62))  // e_machine: x86-64
    bytes.append(littleEndian: UInt32(1))  // e_version
    bytes.append(littleEndian: UInt64(0))  // e_entry
    bytes.append(littleEndian: UInt64(headerSize))  // e_phoff
    let isMany = programHeaders >= manyHeaders
    let sections = isMany ? headerSize + programHeaderSize * programHeaders : 0
    bytes.append(littleEndian: UInt64(sections))  // e_shoff
    bytes.append(littleEndian: UInt32(0))  // e_flags
    bytes.append(littleEndian: UInt16(headerSize))  // e_ehsize
    bytes.append(littleEndian: UInt16(programHeaderSize))  // e_phentsize
    bytes.append(littleEndian: UInt16(min(programHeaders, manyHeaders)))  // e_phnum
    bytes.append(littleEndian: UInt16(isMany ? sectionHeaderSize : 0))  // e_shentsize
    bytes.append(littleEndian: UInt16(isMany ? 1 : 0))  // e_shnum
    bytes.append(littleEndian: UInt16(0))  // e_shstrndx
    return bytes
  }

  /// Appends the section header whose `sh_info` is the number of program headers.
  private static func appendSection(counting programHeaders: Int, to bytes: inout [UInt8]) {
    bytes += [UInt8](repeating: 0, count: 32)
    bytes.append(littleEndian: UInt64(0))  // sh_size
    bytes.append(littleEndian: UInt32(0))  // sh_link
    bytes.append(littleEndian: UInt32(programHeaders))  // sh_info
    bytes += [UInt8](repeating: 0, count: 16)
  }

  private static func append(
    type: UInt32, flags: UInt32, offset: UInt64, virtual: UInt64, physical: UInt64, size: UInt64,
    alignment: UInt64, to bytes: inout [UInt8]
  ) {
    bytes.append(littleEndian: type)
    bytes.append(littleEndian: flags)
    bytes.append(littleEndian: offset)
    bytes.append(littleEndian: virtual)  // p_vaddr
    bytes.append(littleEndian: physical)  // p_paddr
    bytes.append(littleEndian: size)  // p_filesz
    bytes.append(littleEndian: size)  // p_memsz
    bytes.append(littleEndian: alignment)
  }
}
