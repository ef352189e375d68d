internal import Errors
package import Wire

/// A packet of device state on a multifd channel, as far as its head tells: what the device wrote is passed
/// over (QEMU 10, `migration/multifd-device-state.c`).
package struct ChannelDeviceState: Equatable, Sendable {
  /// What begins the state of a VFIO device, the only one so far that sends any (QEMU
  /// `hw/vfio/migration-multifd.c`, `VFIODeviceStatePacket`).
  package struct VFIOHeader: WireRecord {
    package var version: BE32
    /// Packets of the device are loaded in this order.
    package var index: BE32
    /// Bit 0: the configuration of the device, which is the last packet.
    package var flags: BE32

    static let version: UInt32 = 0
    static let configuration: UInt32 = 1
  }

  /// What a VFIO device sent.
  package enum Kind: String, Sendable {
    case data
    case configuration
  }

  /// Name of the device; nil when it is empty.
  package let device: SectionName?
  package let instance: UInt32
  /// Bytes of state.
  package let size: UInt32
  /// Of VFIO's packets of the version that is known.
  package private(set) var vfio: (index: UInt32, kind: Kind)?

  /// Reads the packet that is next in the input, and consumes it with its state.
  /// - Throws: `STREAM-TRUNCATED`.
  init(_ input: StreamInput) throws(MigrationError) {
    let header = try input.readRecord(MultifdChannel.DeviceStateHeader.self)
    device = header.device.name
    instance = header.instance.value
    size = header.size.value
    if device?.isVFIO == true, size >= VFIOHeader.size {
      let state = try input.peekRecord(VFIOHeader.self)
      let flags = state.flags.value
      if state.version.value == VFIOHeader.version, flags & ~VFIOHeader.configuration == 0 {
        vfio = (state.index.value, flags == 0 ? .data : .configuration)
      }
    }
    try input.skip(UInt64(size))
  }

  package static func == (one: ChannelDeviceState, other: ChannelDeviceState) -> Bool {
    (one.device, one.instance, one.size) == (other.device, other.instance, other.size)
      && one.vfio?.index == other.vfio?.index && one.vfio?.kind == other.vfio?.kind
  }
}

extension SectionName {
  /// Whether it names a VFIO device: `vfio`, after the path of the device on its bus.
  fileprivate var isVFIO: Bool { bytes == Array("vfio".utf8) || bytes.ends(with: "/vfio") }
}

extension [UInt8] {
  fileprivate func ends(with text: String) -> Bool {
    suffix(text.utf8.count).elementsEqual(text.utf8)
  }
}
