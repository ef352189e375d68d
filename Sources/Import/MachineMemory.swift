internal import Errors
internal import Guest
internal import Migration
internal import QEMUStream
internal import Wire

extension MachineRecorder {
  /// What the machine's CMOS says of its memory; nil without a section of its clock chip.
  /// - Throws: `SECTION-LENGTH` when the section is too short to hold the CMOS.
  func cmosMemory() throws(MigrationError) -> CMOSMemory? {
    guard let section = sections.first(where: { $0.header.name == "mc146818rtc" }) else {
      return nil
    }
    guard section.body.count >= CMOSMemory.size else {
      throw MigrationError(
        .sectionLength, "section is too short for the CMOS", in: .realTimeClock,
        at: section.offset, expected: "at least \(CMOSMemory.size) bytes",
        got: "\(section.body.count)")
    }
    return CMOSMemory(section.body.span)
  }

  /// The virtio-mem devices by path, and where those of QEMU 8 and later say that their memory lies.
  ///
  /// Their section `PATH/virtio-mem-device-early` (hw/virtio/virtio-mem.c) begins with
  ///
  ///     offset  size  field
  ///          0     8  addr         guest-physical address, big-endian
  ///          8     8  region_size  bytes, big-endian
  ///
  /// In older streams the same stands behind fields of the transport that nothing describes.
  /// - Throws: `STREAM-TRUNCATED` when a section is too short for that.
  func memoryDevices() throws(MigrationError) -> [String: MemoryDevice] {
    var devices: [String: MemoryDevice] = [:]
    for section in sections {
      let name = "\(section.header.name)"
      if let path = name.path(before: "/virtio-mem-device-early") {
        do throws(MigrationError) {
          var cursor = ByteCursor(section.body.span, at: section.offset)
          devices[path] = MemoryDevice(gpa: try cursor.read(), size: try cursor.read())
        } catch {
          throw error.within(.file(name))
        }
      } else if let path = name.path(before: "/virtio-mem"), devices[path] == nil {
        devices[path] = MemoryDevice()
      }
    }
    return devices
  }
}

extension String {
  /// What is before `suffix`; nil when it does not end so.
  fileprivate func path(before suffix: String) -> String? {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
  }
}
