internal import Wire

/// The head of an ELF core file (System V ABI, AMD64 supplement; core(5)) and the offsets of its
/// memory.
///
/// The notes come first, then one `PT_LOAD` for each segment. Addresses are guest-physical: crash
/// and volatility read `p_paddr`; `p_vaddr` is the same, so that a debugger can read the memory,
/// too. Segments begin at multiples of 4096 in the file, so that holes remain holes. Their
/// `p_align` is 0, by which crash recognizes a vmcore like that of kdump, as QEMU's
/// `dump-guest-memory` writes it.
struct ELFCore {
  private static let headerSize = 64
  private static let programHeaderSize = 56

  /// Header, program headers and notes.
  let head: [UInt8]
  /// Offset of each segment in the file, in order.
  let offsets: [UInt64]
  /// Bytes of the file.
  let size: UInt64

  /// - Parameter segments: ascending; at most 65534.
  init(notes: [UInt8], segments: [(gpa: UInt64, size: UInt64)]) {
    let notesStart = Self.headerSize + Self.programHeaderSize * (segments.count + 1)
    var next = UInt64(notesStart + notes.count)
    var offsets: [UInt64] = []
    for segment in segments {
      next = (next + Page.size64 - 1) / Page.size64 * Page.size64
      offsets.append(next)
      next += segment.size
    }
    var head = Self.header(programHeaders: segments.count + 1)
    Self.append(
      type: 4, flags: 0, offset: UInt64(notesStart), address: 0, size: UInt64(notes.count),
      alignment: 4, to: &head)
    for (segment, offset) in zip(segments, offsets) {
      Self.append(
        type: 1, flags: 7, offset: offset, address: segment.gpa, size: segment.size, alignment: 0,
        to: &head)
    }
    (self.head, self.offsets, size) = (head + notes, offsets, next)
  }

  private static func header(programHeaders: Int) -> [UInt8] {
    // Magic, 64 bits, little-endian, version 1, System V.
    var bytes: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    bytes.append(littleEndian: UInt16(4))  // e_type: core
    bytes.append(littleEndian: UInt16(62))  // e_machine: x86-64
    bytes.append(littleEndian: UInt32(1))  // e_version
    bytes.append(littleEndian: UInt64(0))  // e_entry
    bytes.append(littleEndian: UInt64(headerSize))  // e_phoff
    bytes.append(littleEndian: UInt64(0))  // e_shoff
    bytes.append(littleEndian: UInt32(0))  // e_flags
    bytes.append(littleEndian: UInt16(headerSize))  // e_ehsize
    bytes.append(littleEndian: UInt16(programHeaderSize))  // e_phentsize
    bytes.append(littleEndian: UInt16(truncatingIfNeeded: programHeaders))  // e_phnum
    bytes += [UInt8](repeating: 0, count: 6)  // no sections
    return bytes
  }

  private static func append(
    type: UInt32, flags: UInt32, offset: UInt64, address: UInt64, size: UInt64, alignment: UInt64,
    to bytes: inout [UInt8]
  ) {
    bytes.append(littleEndian: type)
    bytes.append(littleEndian: flags)
    bytes.append(littleEndian: offset)
    bytes.append(littleEndian: address)  // p_vaddr
    bytes.append(littleEndian: address)  // p_paddr
    bytes.append(littleEndian: size)  // p_filesz
    bytes.append(littleEndian: size)  // p_memsz
    bytes.append(littleEndian: alignment)
  }
}
