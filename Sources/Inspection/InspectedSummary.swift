internal import Guest
internal import Import
internal import Migration
internal import QEMUStream
internal import SVSM

/// What a person asks first of a stream.
extension InspectedStream {
  /// Number of vCPUs, by the commit of an SNP stream or the sections of a plain one; nil when the
  /// stream does not tell.
  package var vcpuCount: UInt64? {
    if kind == .snp { return commit.map { UInt64($0.final[.vcpu]) } }
    for name: SectionName in ["cpu", "cpu_common"] {
      let count = sections.lines.elements.count { $0.header.name == name }
      if count > 0 { return UInt64(count) }
    }
    return nil
  }

  /// The devices by the last part of their sections' names, in the order of the stream, and how many
  /// sections have each name.
  package var devices: [(name: String, count: Int)] {
    var places: [String: Int] = [:]
    var devices: [(name: String, count: Int)] = []
    for line in sections.lines.elements {
      let header = line.header
      guard header.kind == .full || header.kind == .start, header.name != RAMSection.name,
        SNPSection(header.name) == nil
      else { continue }
      let full = header.name.description
      let name = full.split(separator: "/").last.map(String.init) ?? full
      if let place = places[name] {
        devices[place].count += 1
      } else {
        places[name] = devices.count
        devices.append((name, 1))
      }
    }
    return devices
  }

  /// Bytes of all RAM blocks.
  package var blockBytes: UInt64 { blocks.reduce(0) { $0 &+ $1.length } }
  /// Bytes of guest-physical memory; 0 when the map is not known.
  package var mappedBytes: UInt64 { map.ranges.reduce(0) { $0 &+ $1.size } }
}
