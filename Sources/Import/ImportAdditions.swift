package import Guest
package import SEVSNP

/// What a raw image or QEMU stream does not say of its guest.
package struct ImportAdditions {
  package var machine: String?
  package var below4G: UInt64?
  package var privateRanges = GPARangeSet()
  /// Where RAM blocks of a stream lie, and which are no memory of the guest.
  package var places: [RAMPlace] = []
  package var notRAM: [String] = []
  /// vCPU states to use; nil to take those of the stream.
  package var vcpus: [VCPUState]?
  package var services: [ServiceState] = []

  package init() {}
}
