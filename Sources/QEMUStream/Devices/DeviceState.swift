package import Errors
package import JSON
internal import Wire

/// The values in a section's body, named by the VM description.
package struct DeviceState: Equatable, Sendable {
  /// The decoded form of a field that `fields` shows as bytes: the elements of a list, or the parts
  /// of a `tmp` or `vstruct`.
  package struct Described: Equatable, Sendable {
    /// Position of the bytes in `fields`: a JSON pointer (RFC 6901).
    package var path: String
    /// Name that QEMU gives the wire form: `tmp`, `qtailq`, ...
    package var type: String
    /// An object; for a list an array of objects; for a `gtree` an array of `key` and `value`.
    package var value: JSON
  }

  /// The values as an object, in the form that QEMU's analyze-migration script prints.
  ///
  /// Integers are hex text as wide as the field, with the value in parentheses after negative ones;
  /// `bool` of one byte 0 or 1 is true or false; a struct is an object; a field that occurs more than once is an
  /// array; a subsection is an object under its name; any other field is hex bytes with spaces. In
  /// a name, a byte that is not printable ASCII is shown as `\xNN`, and a backslash is doubled.
  package var fields: JSON
  /// In the order of the body. Fields whose bytes do not fit their description are left out:
  /// `fields` has their bytes.
  package var described: [Described]
}

extension VMDescription.Body {
  /// Decodes the values in a section's body.
  /// - Parameters:
  ///   - bytes: the whole body.
  ///   - base: stream offset of the body.
  ///   - budget: the limit for all sections that are decoded together.
  /// - Throws: `VMDESC-MISMATCH` when the bytes do not fit the description; `VMDESC-SYNTAX` when it
  ///   describes more elements than the budget or the limit of a section allows.
  package func state(
    of bytes: Span<UInt8>, at base: UInt64 = 0, _ budget: inout ElementBudget
  ) throws(MigrationError) -> DeviceState {
    budget.beginSection()
    var decoder = DeviceDecoder(
      cursor: ByteCursor(bytes, at: base), budget: budget, entersBytes: false)
    do throws(MigrationError) {
      let fields = try decoder.object(self)
      guard decoder.cursor.remaining == 0 else {
        throw decoder.mismatch("section is longer than its description")
      }
      budget = decoder.budget
      return DeviceState(fields: fields, described: decoder.described)
    } catch {
      budget = decoder.budget
      throw error
    }
  }

  /// Decodes only the values that QEMU's script prints.
  /// - Throws: the errors of `state`.
  package func decode(
    _ bytes: Span<UInt8>, at base: UInt64 = 0, _ budget: inout ElementBudget
  ) throws(MigrationError) -> JSON {
    try state(of: bytes, at: base, &budget).fields
  }
}
