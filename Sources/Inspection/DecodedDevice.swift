package import Errors
internal import Migration
package import QEMUStream
package import SEVSNP

/// A section's body with its fields named by the VM description.
package struct DecodedDevice {
  package var header: SectionHeader
  package var name: String { header.name.description }
  package var instance: UInt32 { header.instance }
  /// Stream offset of the body.
  package var offset: UInt64
  package var body: [UInt8]
  /// The values, or the reason why they cannot be decoded.
  package var state: Result<DeviceState, MigrationError>

  /// The registers of an x86 vCPU as the section has them, in the layout of a VMSA; other fields of it
  /// are zero.
  /// - Throws: `VCPU-SYNTAX` for another section; the reason why it cannot be decoded.
  package func registers() throws(MigrationError) -> VMSA {
    switch state {
    case .success(let state): return try VMSA(section: state.fields)
    case .failure(let error):
      guard error.code == .vmdescriptionMissing, header.name == "cpu" else { throw error }
      var budget = ElementBudget(bytes: body.count)
      return try VMSA(
        section: VMDescription.Body.decodeX86CPU(
          header, body.span, at: offset, by: nil, &budget))
    }
  }

  /// Decodes every body that was kept, in stream order and one at a time, since the decoded values
  /// may take far more memory than the bodies.
  package struct Decoding {
    private let entries: [KeptBodies.Entry]
    private let described: DescribedSections?
    private var budget: ElementBudget
    private var index = 0

    package init(_ found: InspectedStream) {
      entries = found.bodies.entries
      described = found.description.map(DescribedSections.init)
      budget = ElementBudget(bytes: found.bodies.size)
    }

    /// - Returns: nil after the last.
    package mutating func next() -> DecodedDevice? {
      guard index < entries.count else { return nil }
      let entry = entries[index]
      index += 1
      return DecodedDevice(
        header: entry.header, offset: entry.offset, body: entry.body, state: state(of: entry))
    }

    private mutating func state(
      of entry: KeptBodies.Entry
    ) -> Result<DeviceState, MigrationError> {
      do throws(MigrationError) {
        guard let device = described?[entry.header] else {
          throw MigrationError(.vmdescriptionMissing, "no description of this section was read")
        }
        let body = entry.body
        return .success(try device.body.state(of: body.span, at: entry.offset, &budget))
      } catch {
        return .failure(error)
      }
    }
  }
}
