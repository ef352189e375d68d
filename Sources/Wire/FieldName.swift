extension WireRecord {
  /// The name of a field in our own formats: `firstSequence` is `first_sequence`, `guestVMPL` is
  /// `guest_vmpl`, and `reserved2` is `reserved_2`.
  package static func fieldName(of property: String) -> String {
    let name = words(of: property).joined(separator: "_").lowercased()
    let digits = name.drop { !$0.isNumber }
    return name.hasPrefix("reserved") && !digits.isEmpty ? "reserved_\(digits)" : name
  }

  /// The name of a field as AMD's manuals spell it: `guestTSCScale` is `GUEST_TSC_SCALE`. Reserved
  /// bytes have no name there and keep the name of the property.
  package static func upperCaseName(of property: String) -> String {
    if property.hasPrefix("reserved") { return property }
    return words(of: property).joined(separator: "_").uppercased()
  }

  /// The words of a property's name: `guestTSCScale` has three.
  package static func words(of property: String) -> [String] {
    var words = [""]
    let letters = Array(property)
    for (index, letter) in letters.enumerated() {
      let isBorder =
        index > 0 && letter.isUppercase
        && (!letters[index - 1].isUppercase || letters[(index + 1)...].first?.isLowercase == true)
      if isBorder { words.append("") }
      words[words.count - 1].append(letter)
    }
    return words
  }
}
