internal import ArgumentParser
internal import Errors
internal import FileIO
internal import Import
internal import Inspection
internal import QEMUStream
internal import Wire

// Parts of a stream as they are, for other programs.
extension InspectCommand {
  func extract(
    _ part: ExtractedPart, from input: QEMUInput, of file: InputFile, _ console: Console
  ) throws {
    let output = shown.output ?? "-"
    try refuseSame(file.identity, as: output)
    try refuseSame(inputs: [stream] + qemu.files, as: output)
    switch part {
    case .domain:
      try write(domain(of: input), as: .text, to: output)
    case .description:
      var options = shown.options
      options.keepsDescription = true
      let found = try wholeStream(input, of: file, options, console)
      guard found.descriptionSize != nil else {
        throw MigrationError(.vmdescriptionMissing, "stream has no VM description")
      }
      try write(found.descriptionText, as: .text, to: output)
    case .section(let query):
      try write(body(of: query, in: input, of: file, console), as: .binary, to: output)
    case .block(let name):
      guard try StreamKind(detecting: input.stream) != .snp else {
        throw MigrationError(
          .streamKind, "the memory of an SNP stream is encrypted", at: input.start,
          expected: "a plain QEMU stream for a RAM block")
      }
      let export = try BlockExport(input, allowsIncomplete: allowIncomplete, crew: jobs.crew)
      let file = try OutputFile(output, force: outputs.force, permissions: .private)
      let progress = console.startProgress("extracting", total: input.end)
      _ = try export.write(name, nil, to: file) { progress.update($0) }
      try file.commit()
      console.note(shortfall: export.shortfall, missing: export.missing)
    }
  }

  /// The description of the domain in a libvirt image.
  private func domain(of input: QEMUInput) throws(MigrationError) -> [UInt8] {
    guard let image = input.image else {
      throw MigrationError(
        .streamKind, "stream is in no image of libvirt", at: 0, expected: "an image, for a domain")
    }
    guard let domain = image.domain else {
      throw MigrationError(
        .imageHeader, "description of the domain is too long", at: 20,
        expected: "at most \(LibvirtImage.domainLimit) bytes", got: "\(image.descriptionSize)")
    }
    return domain
  }

  /// The body of the only section that `query` names.
  private func body(
    of query: SectionQuery, in input: QEMUInput, of file: InputFile, _ console: Console
  ) throws -> [UInt8] {
    var options = shown.options
    options.bodies = .named(query)
    options.bodyLimit = KeptBodies.limit
    let found = try wholeStream(input, of: file, options, console)
    try requireSection(query, in: found)
    let bodies = found.bodies
    guard bodies.omitted == 0 else {
      throw MigrationError(
        .sectionLength, "section is too long to be written",
        expected: "at most \(KeptBodies.limit) bytes")
    }
    guard bodies.entries.count == 1, let body = bodies.entries.first?.body else {
      throw ValidationError(
        bodies.entries.isEmpty
          ? "RAM and other sections in parts have no body of their own; block:NAME writes a RAM block."
          : "There are \(bodies.entries.count) such sections; \"NAME 1\" is the one of instance 1.")
    }
    return body
  }

  private func wholeStream(
    _ input: QEMUInput, of file: InputFile, _ options: InspectionOptions, _ console: Console
  ) throws(MigrationError) -> InspectedStream {
    let found = try inspect(input, of: file, nil, options, console)
    if let refusal = found.refusal { throw refusal }
    if let shortfall = found.shortfall { console.note("not whole: \(shortfall.spelled)") }
    return found
  }

  private func write(
    _ bytes: [UInt8], as content: OutputFile.Content, to path: String
  ) throws(MigrationError) {
    let file = try OutputFile(
      path, force: outputs.force, content: content, permissions: .private)
    try file.write(bytes)
    try file.commit()
  }
}
