package import Errors
internal import FileIO
internal import Guest
package import Import
package import Inspection
package import QEMUStream
package import Threads
internal import Wire

extension Side {
  /// Where a side is, and what comes beside it.
  package struct Source {
    /// Of a file or folder; "-" is standard input.
    package let path: String
    package var place = StreamPlace()
    /// Paths of the captures of multifd channels.
    package var channels: [String] = []
    /// RAM blocks that the stream leaves to other files, and the paths of these.
    package var memory: [(block: SectionName, path: String)] = []

    package init(_ path: String) { self.path = path }

    /// Whether it is anything else than one whole file or folder.
    fileprivate var isPart: Bool {
      place != StreamPlace() || !channels.isEmpty || !memory.isEmpty
    }

    fileprivate func input(_ file: InputFile) throws(MigrationError) -> QEMUInput {
      try QEMUInput(file, at: place, channels: channels, memory: memory)
    }

    /// Whether it can be read again, when that turns out to be needed.
    fileprivate func isRepeatable(_ file: InputFile) -> Bool {
      file.kind == .regular && channels.allSatisfy { FileIdentity.ofOutput($0) != nil }
    }
  }

  /// How the sides of one comparison are opened.
  package struct Opening {
    package typealias Progress = (_ done: UInt64, _ total: UInt64?) -> Void

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
    ///   - keys: with which an SNP stream is opened; they are not needed for anything else.
    ///   - progress: told the bytes that have been read, and how many there are, where that is known.
    /// - Throws: `STREAM-KIND` for a place in a file, or something beside it, that this side cannot have; what is
    ///   wrong with the stream or the guest, with its name.
    package func side(
      of source: Source, keys: Rehearsal.Keys?, progress: Progress
    ) throws(MigrationError) -> Side {
      let path = source.path
      do throws(MigrationError) {
        guard GuestReader.isBundle(path) else { return try stream(source, keys, progress) }
        guard !source.isPart else {
          throw MigrationError(
            .streamKind, "a guest at rest is a folder of its own",
            expected: """
              a plain QEMU stream for \(.channel), \(.memory), \(.offset), \(.length) and \(.snapshot); A= or B= in \
              front of a value names its side
              """)
        }
        return try guest(GuestReader(bundle: path), path, progress)
      } catch {
        guard error.code.isRefusal else { throw error }
        var named = error
        named.place = .file(error.place.map { "\(path), \($0)" } ?? path)
        throw named
      }
    }

    private func guest(
      _ guest: GuestReader, _ path: String, _ progress: Progress
    ) throws(MigrationError) -> Side {
      let sizes = guest.description.ramBlocks.map(\.size)
      let memory = try PageDigests(sizes, key, keepsContent: false)
      var done: UInt64 = 0
      try memory.digest(guest.memory) { count in
        done += count
        progress(done, sizes.reduce(0, +))
      }
      try memory.finish()
      let side = try Side(guest.description, name: path, memory: memory)
      side.topics[.secretsPage] = TopicList([])
      if let gpa = side.secretsPage {
        var page = [UInt8](repeating: 0, count: Page.size)
        var span = page.mutableSpan
        try guest.read(gpa: gpa, into: &span)
        // A guest from elsewhere may have any bytes there.
        side.topics[.secretsPage] = (try? Topic(secretsPage: page, at: gpa))
          .map { TopicList([$0]) }
      }
      return side
    }

    private func stream(
      _ source: Source, _ keys: Rehearsal.Keys?, _ progress: Progress
    ) throws(MigrationError) -> Side {
      let file = try InputFile(source.path)
      let isOnce = !source.isRepeatable(file)
      var read = try inspect(source.input(file), keys, keepsContent: isOnce, progress)
      if read.memory?.needsContent == true {
        read = try inspect(source.input(file), keys, keepsContent: true, progress)
      }
      if let refusal = read.found.refusal { throw refusal }
      try read.memory?.finish()
      let side = try StreamSide(
        read.found, name: file.name, memory: read.memory, hasKeys: keys != nil
      ).collect()
      if file.kind == .regular, !source.isPart, read.found.packing == nil { side.file = file }
      return side
    }

    private func inspect(
      _ input: QEMUInput, _ keys: Rehearsal.Keys?, keepsContent: Bool,
      _ progress: Progress
    ) throws(MigrationError) -> (found: InspectedStream, memory: PageDigests?) {
      var memory: PageDigests?
      let tell = { (done: UInt64) in progress(done, input.end) }
      var options = InspectionOptions()
      options.bodies = .all
      options.hashesParts = true
      options.hashesDescription = true
      options.memory = { (sizes) throws(MigrationError) in
        let made = try PageDigests(sizes, key, keepsContent: keepsContent)
        memory = made
        return made
      }
      guard try StreamKind(detecting: input.stream) == .snp else {
        var found = try QEMUInspector.inspect(
          input, again: nil, options: options, crew: crew, progress: tell)
        if found.refusal?.code == .streamMagic, input.kind == nil {
          let expected = found.refusal?.expected ?? "a stream"
          found.refusal?.expected =
            "\(expected); or the folder of a guest, which svsm-mig-guest import makes of memory"
        }
        return (found, memory)
      }
      try input.requireAlone()
      let found = try SNPInspector(input.stream, options: options, keys: keys)
        .inspect(progress: tell)
      return (found, memory)
    }
  }
}
