internal import Errors
internal import Guest
internal import Migration
internal import QEMUStream
internal import Wire

extension MachineRecorder {
  /// The memory sizes in the machine's CMOS; nil when the stream has no section of the clock chip.
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

  /// The virtio-mem devices by path, with the memory ranges from their sections.
  /// - Parameter blocks: all RAM blocks of the stream.
  func memoryDevices(_ blocks: [Guest.RAMBlock]) -> [String: MemoryDevice] {
    var found = PluggedSections()
    for section in sections {
      if let section = PluggedMemory.Section(section.header, body: section.body) {
        found.take(section)
      }
    }
    var devices: [String: MemoryDevice] = [:]
    for path in found.paths { devices[path] = MemoryDevice() }
    for block in blocks {
      guard let memory = found.memory(ofBlock: block.name, length: block.size),
        let end = block.name.lastIndex(of: "/")
      else { continue }
      devices[String(block.name[..<end])] = MemoryDevice(gpa: memory.gpa, plugged: memory.plugged)
    }
    return devices
  }
}
