package import Errors
package import JSON
internal import Wire

/// The values in a section's body, named by its description.
package struct DeviceState: Equatable, Sendable {
  /// What the description says of a field that `fields` shows as bytes: the elements of a list, or
  /// the parts of a `tmp` or `vstruct`.
  package struct Described: Equatable, Sendable {
    /// Where the bytes stand in `fields`: a JSON pointer (RFC 6901).
    package var path: String
    /// QEMU's name of the wire form: `tmp`, `qtailq`, ...
    package var type: String
    /// An object; of a list, an array of objects; of a `gtree`, an array of `key` and `value`.
    package var value: JSON
  }

  /// As QEMU's analyze-migration script prints them: an object.
  ///
  /// Integers are hex text as wide as the field, negative ones with the value in parentheses;
  /// `bool` is true or false; a struct is an object; a field that comes more than once is an array;
  /// a subsection is an object under its name; anything else is hex bytes with spaces. In a name, a
  /// byte that is not printable ASCII stands as `\xNN`, and a backslash is doubled.
  package var fields: JSON
  /// In the order of the body. What is described wrongly is left out: its bytes are in `fields`.
  package var described: [Described]
}

extension VMDescription.Body {
  /// Names the values in a section's body.
  /// - Parameters:
  ///   - bytes: the body, whole.
  ///   - base: stream offset of the body.
  ///   - budget: what all sections that are decoded together may cost.
  /// - Throws: `VMDESC-MISMATCH` when the bytes are not what the description says; `VMDESC-SYNTAX`
  ///   when it describes more elements than the budget or a section has room for.
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

  /// The same, only what the script prints of it.
  /// - Throws: as `state`.
  package func decode(
    _ bytes: Span<UInt8>, at base: UInt64 = 0, _ budget: inout ElementBudget
  ) throws(MigrationError) -> JSON {
    try state(of: bytes, at: base, &budget).fields
  }
}
