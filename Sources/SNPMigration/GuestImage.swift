internal import Cryptography
public import Errors
internal import Guest
internal import SEVSNP
internal import Wire

/// A paused guest, held in memory: the input of a source and the result of a destination.
public struct GuestImage: Sendable, Equatable {
  /// One RAM block, QEMU's unit of guest memory, and its guest-physical address.
  public struct Block: Sendable, Equatable {
    /// QEMU's name of the block, such as `pc.ram`.
    public var name: String
    /// Guest-physical address of its first byte: a multiple of 4096.
    public var address: UInt64
    /// The content of the block. The number of bytes is a multiple of 4096.
    public var content: [UInt8]

    /// Makes a block. Its content and address are checked when a source is made from the guest.
    public init(name: String = "pc.ram", at address: UInt64 = 0, content: [UInt8]) {
      self.name = name
      self.address = address
      self.content = content
    }
  }

  /// QEMU's name of the machine type.
  public var machine: String
  /// The RAM blocks. Together they are all of the guest's memory.
  public var blocks: [Block]
  /// Ranges of guest-physical addresses of the private pages, with bounds that are multiples of 4096.
  /// All other memory is shared with the host.
  public var privateMemory: [Range<UInt64>]
  /// One VMSA page of 4096 bytes for each vCPU (AMD64 APM volume 2, appendix B).
  public var vcpus: [[UInt8]]

  /// - Parameter vcpus: the VMSA pages; nil for one vCPU in the state after a reset, at VMPL 2.
  /// - Throws: `VCPU-SYNTAX`.
  public init(
    machine: String = "pc-q35-10.0", blocks: [Block], privateMemory: [Range<UInt64>],
    vcpus: [[UInt8]]? = nil
  ) throws(MigrationError) {
    self.machine = machine
    self.blocks = blocks
    self.privateMemory = privateMemory
    if let vcpus { self.vcpus = vcpus } else { self.vcpus = [try GuestReader.resetVCPU().vmsa] }
  }
}

extension GuestImage {
  /// The guest in the form that a source reads.
  /// - Throws: `GUEST-SHAPE`, `MAP-LAYOUT`, `RAM-BLOCK`, `VCPU-SYNTAX`, `VCPU-VMPL` for an invalid
  ///   guest; `OUTPUT-CREATE`, `IO-WRITE` when its memory cannot be written to a temporary file.
  func reader() throws(MigrationError) -> GuestReader {
    var ramBlocks: [Guest.RAMBlock] = []
    var ranges: [MappedRange] = []
    for (index, block) in blocks.enumerated() {
      let size = UInt64(block.content.count)
      ramBlocks.append(try Guest.RAMBlock(name: block.name, size: size))
      ranges.append(MappedRange(block: index, offset: 0, gpa: block.address, size: size))
    }
    let map = try GuestMap(ranges.sorted { $0.gpa < $1.gpa }, blocks: ramBlocks)
    var isPrivate = GPARangeSet()
    for range in privateMemory {
      isPrivate.insert(try GPARange(start: range.lowerBound, end: range.upperBound))
    }
    var vcpus: [VCPUState] = []
    for (index, vmsa) in self.vcpus.enumerated() {
      vcpus.append(
        try VCPUState(apicID: UInt32(index), vmpl: try VMSA(vmsa).vmpl, vmsa: vmsa))
    }
    let memory = try TemporaryMemory(blockSizes: ramBlocks.map(\.size))
    for (index, block) in blocks.enumerated() {
      try memory.write(block: index, at: 0, block.content.span)
    }
    return try memory.guest(
      GuestDescription(
        machine: machine, ramBlocks: ramBlocks, map: map, attributes: isPrivate,
        pageStates: try PageStateMap(map.addresses, private: map.memory(in: isPrivate)),
        vcpus: vcpus, services: []))
  }

  /// Makes the image of a guest that a destination has restored.
  /// - Throws: `IO-READ`; `GUEST-SHAPE` for a block whose first byte has no guest-physical address.
  init(_ guest: GuestDescription, in memory: TemporaryMemory) throws(MigrationError) {
    machine = guest.machine
    blocks = []
    for (index, block) in guest.ramBlocks.enumerated() {
      guard let address = guest.map.gpa(block: index, offset: 0) else {
        throw MigrationError(
          .guestShape, "RAM block is not mapped from its first byte on", got: block.name)
      }
      var content = [UInt8](repeating: 0, count: Int(block.size))
      var target = content.mutableSpan
      try memory.read(block: index, at: 0, into: &target)
      blocks.append(Block(name: block.name, at: address, content: content))
    }
    privateMemory = guest.pageStates.runs.filter { $0.state == .validated }
      .map { $0.gpa..<$0.end }
    vcpus = guest.vcpus.map(\.vmsa)
  }
}
