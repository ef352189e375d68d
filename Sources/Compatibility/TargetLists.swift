package import Errors
internal import Wire

/// Names in a list that QEMU prints for people, which add to what a dump says.
package struct TargetList: Equatable, Sendable {
  /// Longest text read.
  package static let sizeLimit = 1 << 20

  private let names: Set<[UInt8]>

  /// The machine types and their other names, of the text that `-machine help` prints.
  /// - Parameter name: of the file, for errors.
  /// - Throws: `TARGET-SYNTAX` when no line of it names a machine type.
  package init(machines text: [UInt8], name: String) throws(MigrationError) {
    var names: Set<[UInt8]> = []
    var isList = false
    for line in text.split(separator: UInt8(ascii: "\n")) {
      if line.starts(with: "Supported machines".utf8) {
        isList = true
      } else if isList, let word = line.split(separator: UInt8(ascii: " ")).first {
        names.insert(Array(word))
      }
    }
    try self.init(names, name, expected: "what qemu-system-… -machine help prints")
  }

  /// The device types and their other names, of the text that `-device help` prints.
  /// - Parameter name: of the file, for errors.
  /// - Throws: `TARGET-SYNTAX` when no line of it names a device type.
  package init(devices text: [UInt8], name: String) throws(MigrationError) {
    var names: Set<[UInt8]> = []
    for line in text.split(separator: UInt8(ascii: "\n")) where line.starts(with: "name \"".utf8) {
      // name "e1000", bus PCI, alias "e1000-82540em", desc "Intel Gigabit Ethernet"
      let parts = line.split(separator: UInt8(ascii: "\""), omittingEmptySubsequences: false)
      for (index, part) in parts.enumerated().dropLast() where index % 2 == 1 {
        let key = parts[index - 1]
        if key.ends(with: "name ") || key.ends(with: "alias ") { names.insert(Array(part)) }
      }
    }
    try self.init(names, name, expected: "what qemu-system-… -device help prints")
  }

  private init(
    _ names: Set<[UInt8]>, _ file: String, expected: String
  ) throws(MigrationError) {
    guard !names.isEmpty else {
      throw MigrationError(
        .targetSyntax, "the list is empty", in: .file(file), expected: expected)
    }
    self.names = names
  }

  func contains(_ name: [UInt8]) -> Bool { names.contains(name) }
}

extension ArraySlice<UInt8> {
  fileprivate func ends(with text: String) -> Bool {
    suffix(text.utf8.count).elementsEqual(text.utf8)
  }
}
