package import Errors
package import QEMUStream

/// A section's body with its fields named by the VM description.
package struct DecodedDevice {
  package var name: String
  package var instance: UInt32
  /// Stream offset of the body.
  package var offset: UInt64
  package var body: [UInt8]
  /// The values, or the reason why they cannot be decoded.
  package var state: Result<DeviceState, MigrationError>

  /// Decodes every body that was kept, in stream order and one at a time, since the decoded values
  /// may take far more memory than the bodies.
  package struct Decoding {
    private let entries: [KeptBodies.Entry]
    private let described: DescribedSections?
    private var budget: ElementBudget
    private var index = 0

    package init(_ found: InspectedStream) {
      self.init(found.bodies, by: found.description)
    }

    package init(_ bodies: KeptBodies, by description: VMDescription?) {
      entries = bodies.entries
      described = description.map(DescribedSections.init)
      budget = ElementBudget(bytes: bodies.size)
    }

    /// - Returns: nil after the last.
    package mutating func next() -> DecodedDevice? {
      guard index < entries.count else { return nil }
      let entry = entries[index]
      index += 1
      return DecodedDevice(
        name: entry.header.name.description, instance: entry.header.instance,
        offset: entry.offset, body: entry.body, state: state(of: entry))
    }

    /// The values of one body, out of turn.
    package mutating func state(
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
