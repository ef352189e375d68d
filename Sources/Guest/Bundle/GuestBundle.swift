internal import FileIO
internal import SEVSNP

/// The files of a guest bundle (`Formats/guest-bundle.md`). Every file name follows from an index;
/// none is ever read from an input.
package enum GuestBundle {
  /// Name of the schema in the manifest. The number after the last slash is the major version.
  package static let schema = "svsm-migration/guest-bundle/1"
  /// Name of the schema of an incomplete guest, which a reader of whole guests refuses.
  package static let incompleteSchema = "svsm-migration/incomplete-guest/1"
  /// Name of the manifest.
  package static let manifest = "guest.json"
  /// Name of the file with the page states.
  package static let pageStates = "page-states.bin"
  /// Name of the file with the state of the VMM's devices.
  package static let machineState = "machine-state.bin"
  /// Name of the file with the content of a RAM block.
  package static func ram(_ index: Int) -> String { "ram-\(index).bin" }
  /// Name of the file with the VMSA page of a vCPU.
  package static func vcpu(_ index: Int) -> String { "vcpu-\(index).vmsa" }
  /// Name of the file with the state of a service.
  package static func service(_ index: Int) -> String { "service-\(index).bin" }

  /// Largest size of a manifest, in bytes.
  package static let maximumManifestSize = 16 << 20
  /// Runs of page states that are read or written at a time.
  static let pageStatePiece = 32768

  /// Names of the files that the bundle in a folder has now, whatever its manifest says: of those with a
  /// number, the ones before the first that is missing.
  package static func files(of folder: String) -> [String] {
    let numbered: [(name: (Int) -> String, most: Int)] = [
      (ram, RAMBlock.maximumCount), (vcpu, VCPUState.maximumCount),
      (service, ServiceState.maximumCount),
    ]
    return [manifest, pageStates, machineState]
      + numbered.flatMap { name, most in
        (0..<most).lazy.map(name).prefix { FileIdentity.ofInput("\(folder)/\($0)") != nil }
      }
  }

  /// Whether `name` is the name of a file that a bundle can have.
  package static func isFileName(_ name: String) -> Bool {
    if [manifest, pageStates, machineState].contains(name) { return true }
    let patterns = [("ram-", ".bin"), ("vcpu-", ".vmsa"), ("service-", ".bin")]
    return patterns.contains { prefix, suffix in
      guard name.hasPrefix(prefix), name.hasSuffix(suffix),
        name.utf8.count > prefix.utf8.count + suffix.utf8.count
      else { return false }
      let index = name.dropFirst(prefix.count).dropLast(suffix.count)
      return UInt32(index).map(String.init) == String(index)
    }
  }
}
