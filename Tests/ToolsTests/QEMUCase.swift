import Errors
import JSON
import TestSupport

/// A guest that the real QEMU saved (`Fixtures/qemu/README.md`), and what is known of it.
struct QEMUCase: Sendable, CustomStringConvertible {
  let name: String
  /// Options the stream needs beside its files.
  var options = ""
  /// Options its import needs: a stream without description does not tell its registers.
  var importOptions = ""

  var description: String { name }

  private static let withoutDescription = " --vmsa @other/vcpu-0.vmsa"

  /// All that are whole.
  static let all: [QEMUCase] = [
    .init(name: "libvirt72-pc-raw"), .init(name: "pc100-boot"),
    .init(name: "pc100-boot-dimm", importOptions: " --ram d0@0x100000000 --ram d1@0x101000000"),
    .init(name: "pc100-boot-mapped"), .init(name: "pc100-boot-multifd-none"),
    .init(name: "pc100-boot-multifd-zlib"),
    .init(name: "pc100-boot-offset", options: " --offset 0x1234"),
    .init(name: "pc100-boot-postcopy"),
    .init(name: "pc2.0-boot", importOptions: withoutDescription + " --machine pc-i440fx-2.0"),
    .init(name: "pc2.4-boot"), .init(name: "pc72-bios-reset"), .init(name: "pc72-boot"),
    .init(name: "pc72-boot-bgsnap"), .init(name: "pc72-boot-devices"),
    .init(name: "pc72-boot-dirty-bitmaps"), .init(name: "pc72-boot-live"),
    .init(name: "pc72-boot-live-multifd"),
    .init(name: "pc72-boot-live-xbzrle"),
    .init(name: "pc72-boot-novmdesc"),
    .init(name: "pc72-boot-uuid"), .init(name: "pc72-tiny"), .init(name: "pc72-tiny-compress"),
    .init(name: "q35-100-boot-mapped-multifd"), .init(name: "q35-72-boot"),
    .init(name: "q35-72-boot-multifd-none"), .init(name: "q35-72-boot-multifd-zstd"),
    .init(name: "q35-72-tiny-smp2"),
  ]

  static func named(_ name: String) -> QEMUCase { all.first { $0.name == name }! }

  /// Everything that is known of it.
  var facts: JSON { get throws { try JSON(parsing: Fixture.read("qemu/\(name)/case.json")) } }

  /// Name, used length and SHA-256 of every RAM block, read from the memory of the QEMU process and
  /// not through any migration code.
  var blocks: Set<[String]> {
    get throws {
      Set(
        (try facts["ram_blocks"]?.array ?? []).map { block in
          [
            block["name"]?.string ?? "", "\(block["used_length"]?.uint ?? 0)",
            block["sha256"]?.string ?? "",
          ]
        })
    }
  }

  /// Unpacks all files into `shop`.
  /// - Returns: the words of a call that name them.
  func unpack(into shop: Workshop) throws -> String {
    let files = (try facts["stream_files"]?.members ?? []).map(\.key)
      .filter { $0 != "return-path" }.sorted()
    for file in files {
      try shop.write("\(name)-\(file)", Fixture.read("qemu/\(name)/\(file).xz"))
    }
    let channels = files.filter { $0.hasPrefix("multifd") }
    guard let main = files.first(where: { !channels.contains($0) }) else {
      throw MigrationError(.internal, "\(name) has no stream")
    }
    return "@\(name)-\(main)\(options)"
      + channels.map { " --channel @\(name)-\($0)" }.joined()
  }

  /// The same of an inspection's JSON.
  static func blocks(in json: JSON) -> Set<[String]> {
    Set(
      (json["ramBlocks"]?.array ?? []).map { block in
        [
          block["name"]?.string ?? "", "\(block["usedLength"]?.uint ?? 0)",
          block["sha256"]?.string ?? "",
        ]
      })
  }
}
