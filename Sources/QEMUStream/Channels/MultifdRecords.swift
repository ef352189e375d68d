package import Wire

/// The records of a multifd channel, all big-endian (QEMU `migration/multifd.h`).
extension MultifdChannel {
  /// What a channel and each of its packets begin with.
  package struct Mark: WireRecord {
    package var magic: BE32
    package var version: BE32

    static let magic: UInt32 = 0x1122_3344
    static let version: UInt32 = 1

    var isValid: Bool { magic.value == Self.magic && version.value == Self.version }
  }

  /// The first bytes of a channel.
  package struct Opening: WireRecord {
    package var mark: WirePart<Mark>
    /// Of the machine; zero without one.
    package var uuid: WireBytes<16>
    /// Of the channel.
    package var id: U8
    package var reserved: WireBytes<39>
  }

  /// What a packet of either kind begins with.
  package struct Prefix: WireRecord {
    package var mark: WirePart<Mark>
    /// Bit 0: channels meet here; bits 1 to 5: method; bit 6: device state.
    package var flags: BE32

    static let meets: UInt32 = 1
    static let deviceState: UInt32 = 0x40
    /// All that a packet of pages may have set.
    static let ofPages: UInt32 = 0x3F

    /// The number of the method.
    var method: UInt32 { flags.value >> 1 & 0x1F }
  }

  /// The head of a packet of pages. 8 bytes follow for each slot: an offset in the block, first of normal
  /// pages, then of zero pages.
  package struct Header: WireRecord {
    package var prefix: WirePart<Prefix>
    /// Pages a packet has room for: 512 KiB of them.
    package var slots: BE32
    /// Pages with content.
    package var normal: BE32
    /// Bytes that follow, unless there is no normal page.
    package var payload: BE32
    /// Over all channels; not read, since QEMU 7.2 gives one to two packets.
    package var number: BE64
    /// Zero pages.
    package var zero: BE32
    package var reserved: WireBytes<28>
    /// Its name, padded with zero bytes.
    package var block: WireBytes<256>
  }

  /// The head of a packet of device state.
  package struct DeviceStateHeader: WireRecord {
    package var prefix: WirePart<Prefix>
    /// Name of the device, as of a section, padded with zero bytes.
    package var device: WireBytes<256>
    /// Of the device.
    package var instance: BE32
    /// Bytes that follow.
    package var size: BE32
  }
}

extension WireBytes {
  /// The bytes before the first that is zero, as a name; nil when there are none.
  var name: SectionName? { SectionName(Array(array.prefix { $0 != 0 }.prefix(255))) }
}
