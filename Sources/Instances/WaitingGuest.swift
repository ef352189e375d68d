package import FileIO
package import SVSM
internal import Wire

// What an instance remembers of a guest that waits for its name: an absolute path, and this.

/// `hidden_identity` of an instance file (`Formats/migration-data.md`, section 3).
private struct Identity: WireRecord {
  /// Number of the file or folder in its file system.
  var inode: BE64
  /// When it was made, in nanoseconds since 1970, or 0.
  var birth: BE64
}

extension SVSMInstance.UnnamedGuest {
  /// Whether its place is an absolute path, which no zero byte cuts short.
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
