package import ArgumentParser
package import Cryptography
internal import Errors
internal import FileIO
package import Guest
package import Threads
internal import Wire

/// The option `--seed`: the source of a tool's keys.
package struct SeedOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Derive all keys from this seed, for reproducible tests; they are then not secret.",
      valueName: "hex"))
  package var seed: HexBytes?

  package init() {}

  package var source: RandomSource {
    if let seed { .seeded(seed.bytes) } else { .system }
  }
}

/// The option `--jobs`: the number of threads a tool uses.
package struct JobsOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Number of threads; by default the number of processors that this process may use. "
        + "The result does not depend on it.",
      valueName: "number"))
  package var jobs: Int?

  package init() {}

  package func validate() throws {
    guard jobs.map({ 1...WorkCrew.maximumJobs ~= $0 }) ?? true else {
      throw ValidationError("--jobs takes 1 to \(WorkCrew.maximumJobs).")
    }
  }

  /// Default limit of the number of threads: each thread takes several mebibytes of memory.
  private static let defaultLimit = 8

  /// The threads that work for the tool.
  package var crew: WorkCrew {
    WorkCrew(jobs: jobs ?? min(Processors.available, Self.defaultLimit))
  }
}

/// Bytes in hex on the command line, with or without `0x`.
package struct HexBytes: ExpressibleByArgument, Sendable {
  package var bytes: [UInt8]

  package init?(argument: String) {
    guard let bytes = Hex.decode(prefixed: argument), !bytes.isEmpty else { return nil }
    self.bytes = bytes
  }
}

/// Bytes of a known count on the command line: in hex, in Base64, or `@` and the path of a file
/// that holds them in binary or in one of these encodings.
package enum BytesArgument: ExpressibleByArgument, Sendable {
  case bytes([UInt8])
  case file(String)

  package init?(argument: String) {
    if argument.hasPrefix("@") {
      self = .file(String(argument.dropFirst()))
    } else if let text = BinaryText(Array(argument.utf8)) {
      self = .bytes(text.bytes)
    } else {
      return nil
    }
  }

  /// Whether the argument can hold `count` bytes. The contents of a file are not checked here.
  func mayBe(_ count: Int) -> Bool {
    if case .bytes(let bytes) = self { bytes.count == count } else { true }
  }

  /// The bytes; nil when their number is not `count`.
  /// - Throws: `INPUT-OPEN`, `INPUT-KIND`, `IO-READ` for a file.
  func read(_ count: Int) throws(MigrationError) -> [UInt8]? {
    let bytes: [UInt8]
    switch self {
    case .bytes(let given): bytes = given
    case .file(let path):
      let content = try readSmallFile(path, limit: 1 << 12)
      bytes = content.count == count ? content : BinaryText(content)?.bytes ?? []
    }
    return bytes.count == count ? bytes : nil
  }
}

/// A number of bytes on the command line: decimal or 0x digits, optionally followed by K, M, G or
/// T.
package struct ByteCount: ExpressibleByArgument, Sendable {
  package var value: UInt64

  package init?(argument: String) {
    guard let value = byteCount(argument) else { return nil }
    self.value = value
  }
}

/// A number in decimal or 0x digits on the command line.
package struct Number: ExpressibleByArgument, Sendable {
  package var value: UInt64

  package init(_ value: UInt64) { self.value = value }

  package init?(argument: String) {
    let isHex = argument.hasPrefix("0x") || argument.hasPrefix("0X")
    guard let first = argument.utf8.first, UInt8(ascii: "0")...UInt8(ascii: "9") ~= first,
      let value = isHex ? UInt64(argument.dropFirst(2), radix: 16) : UInt64(argument)
    else { return nil }
    self.value = value
  }

  package var defaultValueDescription: String { Hex.number(value) }
}

extension GPARangeSet: ExpressibleByArgument {
  package init?(argument: String) {
    guard let set = try? GPARangeSet(parsing: argument) else { return nil }
    self = set
  }
}
