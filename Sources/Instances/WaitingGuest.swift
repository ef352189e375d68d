package import FileIO
package import SVSM
internal import Wire

// An instance in stage restoring stores the absolute hidden path of its guest, and this identity.

/// `hidden_identity` of an instance file (`Formats/migration-data.md`, section 3).
private struct Identity: WireRecord {
  /// Inode number of the file or folder.
  var inode: BE64
  /// Creation time in nanoseconds since 1970; 0 when the file system does not record it.
  var birth: BE64
}

extension SVSMInstance.UnnamedGuest {
  /// Whether its place is an absolute path without zero bytes.
  var hasPath: Bool { place.first == UInt8(ascii: "/") && !place.contains(0) }

  package init(_ output: UnnamedOutput) {
    var identity = Identity()
    identity.inode = BE64(output.inode)
    identity.birth = BE64(output.birth)
    self.init(identity: identity.bytes, place: output.path)
  }
}

extension UnnamedOutput {
  init(_ guest: SVSMInstance.UnnamedGuest) {
    let identity = Identity(at: 0, of: guest.identity.span)
    self.init(path: guest.place, inode: identity.inode.value, birth: identity.birth.value)
  }
}
