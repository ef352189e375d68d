internal import Compatibility
internal import Errors
internal import FileIO
internal import Import

// Checks whether a destination would load a stream, or the streams of a source
// (`Formats/target.md`).
extension VerifyCommand {
  func run(against path: String, _ console: Console) throws {
    let report: TargetReport
    if let source = target.source {
      report = try MachineDump(file: path).report(on: MachineDump(file: source))
    } else {
      report = try target.load(path).report(on: arrivingStream(stream ?? "-"))
    }
    if json {
      try console.write(report.json(of: stream, or: target.source, against: path))
    } else {
      try console.write(report.text(console.style))
    }
    if let refusal = report.refusal { throw refusal }
  }

  /// - Throws: the errors of reading a stream; `STREAM-KIND` for an SNP stream, which no QEMU
  ///   loads.
  private func arrivingStream(_ path: String) throws(MigrationError) -> ArrivingStream {
    let input = try QEMUInput(try InputFile(path), qemu)
    guard try StreamKind(detecting: input.stream) != .snp else {
      throw MigrationError(
        .streamKind, "an SNP stream is loaded by an SVSM, not by QEMU alone", at: input.start,
        expected: "a plain QEMU stream for \(.target)")
    }
    try input.requireWholeImage()
    do throws(MigrationError) {
      return try ArrivingStream(reading: input.reader())
    } catch {
      throw input.explain(error)
    }
  }
}
