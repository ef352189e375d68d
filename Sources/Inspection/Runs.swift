package import QEMUStream
package import SEVSNP
package import SVSM

/// A list that keeps what it can hold and counts the rest: what a tool shows must not cost memory
/// by what a stream says.
package struct BoundedList<Element> {
  /// Elements kept at most.
  package static var limit: Int { 1 << 17 }

  package private(set) var elements: [Element] = []
  /// Elements that came after the list was full.
  package private(set) var omitted: UInt64 = 0

  package mutating func append(_ element: Element) {
    if elements.count < Self.limit { elements.append(element) } else { omitted += 1 }
  }

  package var count: UInt64 { UInt64(elements.count) + omitted }
}

/// Page records that follow each other in a stream and in the guest's memory, alike in all else.
package struct PrivateRun: Equatable {
  package var gpa: UInt64
  package var pages: UInt64
  package var epoch: UInt32
  package var operation: PageMetadata.Operation
  package var size: RMPPageSize
  package var permissions: VMPLPermissions

  package init(_ page: PageMetadata) {
    gpa = page.gpa
    pages = 1
    epoch = page.epoch
    operation = page.operation
    size = page.size
    permissions = page.permissions
  }

  /// Takes in the next record, if it continues this run.
  package mutating func join(_ page: PageMetadata) -> Bool {
    guard page.gpa == gpa &+ pages &* 4096, page.epoch == epoch, page.operation == operation,
      page.size == size, page.permissions == permissions
    else { return false }
    pages += 1
    return true
  }
}

/// Page records of the private pages section, joined as they come.
package struct PrivatePages {
  package private(set) var runs = BoundedList<PrivateRun>()
  package private(set) var counts = PageCounts()
  private var open: PrivateRun?

  package mutating func note(_ page: PageMetadata) {
    counts.add(page.operation)
    if open?.join(page) == true { return }
    close()
    open = PrivateRun(page)
  }

  /// Puts the last run into the list.
  package mutating func close() {
    if let open { runs.append(open) }
    open = nil
  }

  /// Pages that are exported and not withdrawn, as far as operations tell.
  package var pages: UInt64 {
    counts.migrated > counts.cancelled ? counts.migrated - counts.cancelled : 0
  }
}

/// Records of shared memory that follow each other in one block.
package struct SharedRun: Equatable {
  package var block: Int
  package var offset: UInt64
  /// Pages that came with content, in whatever form.
  package var content: UInt64 = 0
  /// Pages that came as zero.
  package var zero: UInt64 = 0

  package var pages: UInt64 { content + zero }
}

/// Records of `ram` sections, joined as they come.
package struct SharedPages {
  package private(set) var runs = BoundedList<SharedRun>()
  package private(set) var content: UInt64 = 0
  package private(set) var zero: UInt64 = 0
  /// What is counted.
  package var page = TargetPage.x86
  private var open: SharedRun?

  /// Takes in `count` pages from one on.
  package mutating func note(_ place: RAMPage, count: UInt64 = 1, isZero: Bool) {
    if isZero { zero += count } else { content += count }
    let follows = open.map {
      $0.block == place.block && place.offset == $0.offset &+ $0.pages &<< page.bits
    }
    if follows != true {
      close()
      open = SharedRun(block: place.block, offset: place.offset)
    }
    if isZero { open?.zero += count } else { open?.content += count }
  }

  /// Puts the last run into the list.
  package mutating func close() {
    if let open { runs.append(open) }
    open = nil
  }
}

/// One section, or several parts of one that follow each other.
package struct SectionLine {
  package var header: SectionHeader
  /// Stream offset of the first body.
  package var bodyOffset: UInt64
  /// Bytes of all bodies.
  package var size: UInt64 = 0
  /// Sections the line stands for.
  package var count: UInt64 = 1
  /// Whether the stream was refused before anything behind the section was read: then `size` is what
  /// was read behind its header.
  package var isCut = false
}

/// The sections of a stream in order; consecutive parts of one section are one line unless wanted
/// one by one.
package struct SectionList {
  package private(set) var lines = BoundedList<SectionLine>()
  private let joinsParts: Bool
  private var line: SectionLine?
  /// The section whose end is still to come.
  private var current: SectionHeader?
  private var bodyOffset: UInt64 = 0

  package init(joinsParts: Bool) { self.joinsParts = joinsParts }

  /// Whether the section that begins at `offset` was noted.
  package func isCurrent(_ offset: UInt64) -> Bool { current?.offset == offset }

  package mutating func begin(_ header: SectionHeader) {
    current = header
    bodyOffset = header.offset &+ SectionList.headerSize(header)
  }

  /// The part that was begun is the first of `count` parts of one section and one size, `stride` bytes
  /// from one to the next.
  package mutating func beginFollowing(_ count: Int, stride: UInt64) {
    guard count > 1, var header = current else { return }
    let first = header.offset
    let body = bodyOffset - first
    end(at: first &+ stride)
    if joinsParts {
      line?.size += UInt64(count - 2) * (stride - 5 - body)
      line?.count += UInt64(count - 2)
      header.offset = first &+ UInt64(count - 1) &* stride
      begin(header)
    } else {
      for index in 1..<count {
        header.offset = first &+ UInt64(index) &* stride
        begin(header)
        if index < count - 1 { end(at: header.offset &+ stride) }
      }
    }
  }

  /// The section that was begun ends, its footer behind it.
  /// - Parameter end: stream offset of the next record.
  package mutating func end(at end: UInt64, footer: UInt64 = 5) {
    guard let header = current else { return }
    current = nil
    let size = end > bodyOffset &+ footer ? end - footer - bodyOffset : 0
    if joinsParts, header.kind == .part, line?.header.kind == .part, line?.header.id == header.id {
      line?.size += size
      line?.count += 1
      return
    }
    close()
    line = SectionLine(header: header, bodyOffset: bodyOffset, size: size)
  }

  /// The stream is refused at `place`: the section that was begun, if any, stays open.
  package mutating func cut(at place: UInt64) {
    guard let header = current else { return }
    current = nil
    close()
    let size = place > bodyOffset ? place - bodyOffset : 0
    line = SectionLine(header: header, bodyOffset: bodyOffset, size: size, isCut: true)
  }

  /// Puts the last line into the list.
  package mutating func close() {
    if let line { lines.append(line) }
    line = nil
  }

  private static func headerSize(_ header: SectionHeader) -> UInt64 {
    switch header.kind {
    case .part, .end: 5
    case .start, .full: 5 + 1 + UInt64(header.name.bytes.count) + 8
    }
  }
}
