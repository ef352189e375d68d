package import Guest
package import SEVSNP

/// Facts about the guest that a raw image or QEMU stream does not contain.
package struct ImportAdditions {
  package var machine: String?
  package var below4G: UInt64?
  package var privateRanges = GPARangeSet()
  /// Addresses of the stream's RAM blocks, and the blocks that are not guest memory.
  package var places: [RAMPlace] = []
  package var notRAM: [String] = []
  /// vCPU states to use; nil to take those of the stream.
  package var vcpus: [VCPUState]?
  package var services: [ServiceState] = []

  package init() {}
}
