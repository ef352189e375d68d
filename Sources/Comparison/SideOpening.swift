package import Errors
internal import FileIO
internal import Guest
internal import Import
package import Inspection
internal import QEMUStream
package import Threads
internal import Wire

extension Side {
  /// How the sides of one comparison are opened.
  package struct Opening {
    private let crew: WorkCrew
    private let key: PageDigests.Key

    /// - Parameter crew: the threads that read.
    /// - Throws: `INTERNAL-CRYPTOGRAPHY`.
    package init(crew: WorkCrew) throws(MigrationError) {
      self.crew = crew
      key = try PageDigests.Key()
    }

    /// Reads a stream or a guest at rest to its end.
    /// - Parameters:
    ///   - path: of a file or folder; "-" is standard input.
    ///   - keys: with which an SNP stream is opened; they are not needed for anything else.
    ///   - progress: told the bytes that have been read.
    /// - Throws: what is wrong with the stream or the guest, with its name.
    package func side(
      at path: String, keys: Rehearsal.Keys?, progress: (UInt64) -> Void
    ) throws(MigrationError) -> Side {
      do throws(MigrationError) {
        if GuestReader.isBundle(path) {
          return try guest(GuestReader(bundle: path), path, progress)
        }
        return try stream(InputFile(path), keys, progress)
      } catch {
        guard error.code.isRefusal else { throw error }
        var named = error
        named.place = .file(error.place.map { "\(path), \($0)" } ?? path)
        throw named
      }
    }

    private func guest(
      _ guest: GuestReader, _ path: String, _ progress: (UInt64) -> Void
    ) throws(MigrationError) -> Side {
      let memory = try PageDigests(
        guest.description.ramBlocks.map(\.size), key, keepsContent: false)
      var done: UInt64 = 0
      try memory.digest(guest.memory) { count in
        done += count
        progress(done)
      }
      try memory.finish()
      let side = try Side(guest.description, name: path, memory: memory)
      side.topics[.secretsPage] = []
      if let gpa = side.secretsPage {
        var page = [UInt8](repeating: 0, count: Page.size)
        var span = page.mutableSpan
        try guest.read(gpa: gpa, into: &span)
        // A guest from elsewhere may have any bytes there.
        side.topics[.secretsPage] = (try? Topic(secretsPage: page, at: gpa)).map { [$0] }
      }
      return side
    }

    private func stream(
      _ file: InputFile, _ keys: Rehearsal.Keys?, _ progress: (UInt64) -> Void
    ) throws(MigrationError) -> Side {
      let isOnce = file.kind != .regular
      var read = try inspect(QEMUInput(file), keys, keepsContent: isOnce, progress)
      if read.memory?.needsContent == true {
        read = try inspect(QEMUInput(file), keys, keepsContent: true, progress)
      }
      if let refusal = read.found.refusal { throw refusal }
      try read.memory?.finish()
      return try StreamSide(
        read.found, name: file.name, memory: read.memory, hasKeys: keys != nil
      ).collect()
    }

    private func inspect(
      _ input: QEMUInput, _ keys: Rehearsal.Keys?, keepsContent: Bool,
      _ progress: (UInt64) -> Void
    ) throws(MigrationError) -> (found: InspectedStream, memory: PageDigests?) {
      var memory: PageDigests?
      var options = InspectionOptions()
      options.bodies = .all
      options.memory = { (sizes) throws(MigrationError) in
        let made = try PageDigests(sizes, key, keepsContent: keepsContent)
        memory = made
        return made
      }
      guard try StreamKind(detecting: input.stream) == .snp else {
        let found = try QEMUInspector.inspect(
          input, again: nil, options: options, crew: crew, progress: progress)
        return (found, memory)
      }
      try input.requireAlone()
      let found = try SNPInspector(input.stream, options: options, keys: keys)
        .inspect(progress: progress)
      return (found, memory)
    }
  }
}
