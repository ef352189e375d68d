internal import ArgumentParser
internal import Errors
internal import FileIO
internal import SVSM

/// The options of `svsm-mig-verify` that are about seals.
struct SealOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Detached seal of the file, as svsm-mig-seal --detached makes it: compare every byte of the file "
        + "with it, whatever the file is.", valueName: "file"),
    completion: .file())
  var seal: String?

  @Option(
    help: ArgumentHelp(
      "Offer of the instance that sealed the file or the plain QEMU stream; nothing private is needed.",
      valueName: "offer"),
    completion: .file())
  var signer: String?

  var isGiven: Bool { seal != nil || signer != nil }

  /// The public key that must have signed the seal; nil when none was named.
  func signerKey() throws(MigrationError) -> [UInt8]? {
    try signer.map { (path) throws(MigrationError) in
      try MigrationData(readSmallFile(path, limit: MigrationData.maximumSize)).publicKey
    }
  }
}
