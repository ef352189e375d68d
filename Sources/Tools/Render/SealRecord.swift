internal import Cryptography
internal import Errors
internal import FileIO
internal import Guest
internal import JSON
internal import SVSM

/// What is recorded of a sealing: schema `svsm-migration/custody/1` (`Formats/json.md`).
struct SealRecord {
  /// A file that was read or made.
  struct File {
    var name: String
    /// Bytes; nil for a pipe or a device.
    var size: UInt64?
    /// Of its content; nil for a pipe or a device, and for a file with more zeros in holes than are
    /// hashed.
    var hash: [UInt8]?

    init(name: String) { self.name = name }

    /// Reads a regular file to its end.
    init(_ file: InputFile) throws(MigrationError) {
      (name, size) = (file.name, file.size)
      guard let size else { return }
      var hasher = BlockHasher()
      let content = BlockFiles([.init(file: file)])
      if case .hash(let hash) = try hasher.hash(block: 0, of: content, length: size) {
        self.hash = hash
      }
    }

    fileprivate var json: JSON {
      [
        "name": .string(name), "size": size.map { JSON($0) } ?? .null,
        "sha256": hash.map { .hex(bytes: $0) } ?? .null,
      ]
    }
  }

  /// Seconds since 1970, as `finished`.
  let started: Int64
  var finished: Int64 = 0
  var input = File(name: "")
  var output = File(name: "")

  init(started: Int64) { self.started = started }

  func json(_ seal: Seal, detached: Bool) throws(MigrationError) -> String {
    let signer = try seal.signer.map { (key) throws(MigrationError) in try SHA256.hash(key) }
    let json: JSON = [
      "schema": "svsm-migration/custody/1", "tool": "svsm-mig-seal",
      "version": .string(Toolkit.version), "started": .string(CivilDate.text(started)),
      "finished": .string(CivilDate.text(finished)), "input": input.json, "output": output.json,
      "seal": [
        "detached": .bool(detached), "coveredLength": JSON(seal.coveredLength),
        "chunks": JSON(seal.chunkCount), "root": .hex(bytes: seal.root),
        "signerSHA256": signer.map { .hex(bytes: $0) } ?? .null,
      ],
    ]
    return String(decoding: json.pretty, as: UTF8.self) + "\n"
  }
}
