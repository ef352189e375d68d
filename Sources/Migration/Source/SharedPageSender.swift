internal import Errors
internal import Guest
internal import QEMUStream
internal import Threads
internal import Wire

/// Makes the parts of a `ram` section from a guest's memory.
struct SharedPageSender {
  /// Largest number of pages in one part.
  private static let pagesPerPart = 16384

  private let guest: GuestReader
  private let crew: WorkCrew
  private let id: UInt32
  private let hasFooters: Bool
  /// The encoder in its state at the place of the next records.
  private(set) var encoder: RAMEncoder

  /// - Parameter id: id of the section.
  init(
    guest: GuestReader, crew: WorkCrew, encoder: RAMEncoder, id: UInt32, hasFooters: Bool = true
  ) {
    (self.guest, self.crew, self.encoder) = (guest, crew, encoder)
    (self.id, self.hasFooters) = (id, hasFooters)
  }

  /// Reads and encodes extents, in their order.
  /// - Parameters:
  ///   - pages: number of pages of all extents.
  ///   - extents: gives the extents, in order.
  ///   - emit: called with each batch of records, in order.
  /// - Throws: `IO-READ`; what `emit` throws.
  mutating func send(
    _ pages: UInt64, _ extents: () throws(MigrationError) -> BlockExtent?,
    emit: (SharedBatch) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    let underWay = InFlight<SharedBatch>(for: crew)
    var (pagesLeft, partLeft) = (Int(pages), 0)
    while let extent = try extents() {
      var batches = BatchCursor(extent)
      while true {
        let beginsPart = partLeft == 0
        let part = beginsPart ? min(pagesLeft, Self.pagesPerPart) : partLeft
        guard
          let next = try batches.next(
            of: guest, pages: min(part, pagesPerBatch), holePages: part)
        else { break }
        if underWay.isFull { try finishOldest(underWay, emit) }
        let batch =
          underWay.takeFree() ?? SharedBatch(from: guest, id: id, hasFooters: hasFooters)
        (batch.place, batch.isHole) = (next.place, next.isHole)
        batch.encoder = encoder
        encoder.continue(block: extent.block)
        pagesLeft -= batch.pages
        partLeft = part - batch.pages
        (batch.beginsPart, batch.endsPart) = (beginsPart, partLeft == 0)
        underWay.submit(batch, to: crew)
      }
    }
    while !underWay.isEmpty { try finishOldest(underWay, emit) }
  }

  private func finishOldest(
    _ underWay: InFlight<SharedBatch>, _ emit: (SharedBatch) throws(MigrationError) -> Void
  ) throws(MigrationError) {
    guard let batch = underWay.finishOldest(with: crew) else { return }
    if let error = batch.error { throw error }
    try emit(batch)
    underWay.recycle(batch)
  }
}
