internal import Errors
internal import FileIO
internal import Import
internal import Instances
internal import Migration
internal import QEMUStream
internal import SVSM

// Compares a file of any kind with its detached seal (`Formats/stream.md`, section 16.2).
extension VerifyCommand {
  func verify(against sealPath: String, _ console: Console) throws {
    let path = stream ?? "-"
    let key = try sealKey()
    let file = try InputFile(path)
    let seal = StreamInput(FileSource(try InputFile(sealPath)))
    let progress = console.startProgress("verifying", total: file.size)
    let report = try DetachedSeal.verify(
      StreamInput(wholeOf: file), against: seal, sealedBy: key, crew: jobs.crew
    ) { progress.update($0) }
    try print(report, of: path, console)
  }

  /// The key that must have signed a seal: of `--signer`, else of `--instance`.
  func sealKey() throws(MigrationError) -> [UInt8]? {
    guard let instance else { return try seals.signerKey() }
    return try InstanceFile(reading: instance).instance.offer.publicKey
  }
}
