package import Errors
package import Wire

/// What the trusted side knows of one 4 KiB page of guest-physical memory.
///
/// The names follow the RMP states of AMD's SNP firmware ABI; `secrets` marks the one validated
/// page whose content belongs to its host and is rebuilt instead of copied.
package enum PageState: UInt8, Sendable, CaseIterable {
  /// Not assigned to the guest (RMP state Hypervisor): a page the guest shares with the host.
  case shared = 1
  /// Assigned and validated (RMP state Guest-Valid): private, its content travels wrapped.
  case validated = 2
  /// Assigned but never validated (RMP state Guest-Invalid): private to be, without content.
  case unaccepted = 3
  /// Validated, and holds the secrets page: only its place and its portable fields travel.
  case secrets = 4

  /// Whether the VMM's attribute of the page must say private.
  package var isPrivate: Bool { self != .shared }
}

/// Size of the RMP entry that covers a page.
package enum RMPPageSize: UInt8, Sendable, CaseIterable {
  case size4K = 0
  case size2M = 1

  /// Bytes.
  package var bytes: UInt64 { self == .size4K ? 4096 : 2 << 20 }
}

/// Access permissions of the four VMPLs to a page, as in the second quadword of an RMP entry:
/// bit 0 read, 1 write, 2 execute in user mode, 3 in supervisor mode, 4 supervisor shadow stack.
package struct VMPLPermissions: Sendable, Hashable {
  /// VMPL0 in the most significant byte, VMPL3 in the least: the order of the bytes on the wire.
  package var rawValue: UInt32

  /// Bits that mean something.
  package static let validMask: UInt32 = 0x1f1f_1f1f
  /// All but shadow stack for VMPL0 to VMPL2, nothing for VMPL3: what an SVSM gives its guest.
  package static let guestDefault = VMPLPermissions(rawValue: 0x0f0f_0f00)
  package static let none = VMPLPermissions(rawValue: 0)

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Whether no undefined bit is set.
  package var isValid: Bool { rawValue & ~Self.validMask == 0 }
}

/// Consecutive pages in one state.
package struct PageRun: Sendable, Hashable {
  /// Guest-physical address of the first page, 4 KiB aligned.
  package var gpa: UInt64
  /// Number of 4 KiB pages, at least one.
  package var pages: UInt64
  package var state: PageState
  package var size: RMPPageSize
  package var permissions: VMPLPermissions

  package init(
    gpa: UInt64, pages: UInt64, state: PageState, size: RMPPageSize = .size4K,
    permissions: VMPLPermissions = .none
  ) {
    self.gpa = gpa
    self.pages = pages
    self.state = state
    self.size = size
    self.permissions = permissions
  }

  /// First address after the run.
  package var end: UInt64 { gpa + pages * 4096 }

  /// Whether `other` continues this run with the same properties.
  package func isContinued(by other: PageRun) -> Bool {
    end == other.gpa && state == other.state && size == other.size
      && permissions == other.permissions
  }
}

/// The page states of a whole guest: the record the trusted side keeps of what it validated.
///
/// Runs are in ascending order, do not overlap and cannot be joined: one map has one encoding.
/// Pages outside every run do not exist. Source: AMD's SNP firmware ABI, page states; the encoding
/// is ours (`Formats/stream.md`, "Page states").
package struct PageStateMap: Sendable, Hashable {
  package private(set) var runs: [PageRun]

  /// One run on the wire, big-endian.
  ///
  ///     offset  size  field
  ///          0     8  gpa          4 KiB aligned; 2 MiB aligned when size is 1
  ///          8     8  pages        4 KiB pages, at least 1
  ///         16     1  state        1 shared, 2 validated, 3 unaccepted, 4 secrets
  ///         17     1  size         RMP page size: 0 4 KiB, 1 2 MiB
  ///         18     2  reserved     zero
  ///         20     4  permissions  one byte each for VMPL0 to VMPL3
  package static let runLayout = RecordLayout(
    "page-state-run",
    ["gpa": 8, "pages": 8, "state": 1, "size": 1, "reserved": 2, "permissions": 4])

  /// Addresses are below this: 52 bits, the architectural limit.
  package static let addressLimit: UInt64 = 1 << 52

  package init() { runs = [] }

  /// A map of `runs`, which must be in ascending order; neighbours alike are joined.
  /// - Throws: `MAP-SYNTAX` when a run is not well formed or overlaps the one before it.
  package init(joining runs: [PageRun]) throws(MigrationError) {
    self.runs = []
    for run in runs {
      if let last = self.runs.last, last.isContinued(by: run) {
        try Self.check(run, after: last, at: nil)
        self.runs[self.runs.count - 1].pages += run.pages
      } else {
        try append(run, at: nil)
      }
    }
  }

  /// Appends a run that lies behind all others and does not continue the last.
  /// - Throws: `MAP-SYNTAX`, naming `offset`.
  package mutating func append(_ run: PageRun, at offset: UInt64?) throws(MigrationError) {
    if let last = runs.last, last.isContinued(by: run) {
      throw MigrationError(
        .mapSyntax, "page-state run could be joined to the one before it", at: offset)
    }
    try Self.check(run, after: runs.last, at: offset)
    runs.append(run)
  }

  /// Decodes the runs in `cursor` to its end and appends them.
  /// - Throws: `MAP-SYNTAX`; `STREAM-TRUNCATED` when the bytes end inside a run.
  package mutating func appendRuns(from cursor: inout ByteCursor) throws(MigrationError) {
    while cursor.remaining > 0 {
      let start = cursor.offset
      let gpa = try cursor.read(UInt64.self)
      let pages = try cursor.read(UInt64.self)
      let state = try cursor.read(UInt8.self)
      let size = try cursor.read(UInt8.self)
      let reserved = try cursor.read(UInt16.self)
      let permissions = VMPLPermissions(rawValue: try cursor.read())
      guard let state = PageState(rawValue: state), let size = RMPPageSize(rawValue: size),
        reserved == 0
      else {
        throw MigrationError(.mapSyntax, "page-state run has an unknown value", at: start)
      }
      try append(
        PageRun(gpa: gpa, pages: pages, state: state, size: size, permissions: permissions),
        at: start)
    }
  }

  /// Encodes `runs`, 24 bytes each.
  package static func encode(_ runs: some Collection<PageRun>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(runs.count * runLayout.size)
    for run in runs {
      bytes.append(bigEndian: run.gpa)
      bytes.append(bigEndian: run.pages)
      bytes.append(run.state.rawValue)
      bytes.append(run.size.rawValue)
      bytes.append(bigEndian: UInt16(0))
      bytes.append(bigEndian: run.permissions.rawValue)
    }
    return bytes
  }

  /// Number of 4 KiB pages in `state`.
  package func pages(in state: PageState) -> UInt64 {
    runs.reduce(0) { $0 + ($1.state == state ? $1.pages : 0) }
  }

  /// The run that holds `gpa`, found by bisection.
  package func run(at gpa: UInt64) -> PageRun? {
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].end <= gpa { low = middle + 1 } else { high = middle }
    }
    guard low < runs.count, runs[low].gpa <= gpa else { return nil }
    return runs[low]
  }

  /// The first page that has a state and lies in `addresses`, at least in part; nil when none does.
  package func firstPage(in addresses: Range<UInt64>) -> UInt64? {
    guard !addresses.isEmpty else { return nil }
    let start = addresses.lowerBound & ~4095
    if self.run(at: start) != nil { return start }
    guard let next = runs.first(where: { $0.gpa > start }), next.gpa < addresses.upperBound else {
      return nil
    }
    return next.gpa
  }

  private static func check(
    _ run: PageRun, after last: PageRun?, at offset: UInt64?
  ) throws(MigrationError) {
    func refusal(_ what: String) -> MigrationError { .init(.mapSyntax, what, at: offset) }
    guard run.pages > 0, run.gpa < addressLimit, run.pages <= (addressLimit - run.gpa) / 4096 else {
      throw refusal("page-state run is empty or beyond the address limit")
    }
    guard run.gpa % run.size.bytes == 0, run.pages * 4096 % run.size.bytes == 0 else {
      throw refusal("page-state run is not aligned to its page size")
    }
    guard last.map({ $0.end <= run.gpa }) ?? true else {
      throw refusal("page-state runs overlap or are out of order")
    }
    guard run.permissions.isValid, run.state == .validated || run.permissions == .none else {
      throw refusal("page-state run has permissions its state cannot have")
    }
    guard run.state != .secrets || (run.pages == 1 && run.size == .size4K) else {
      throw refusal("the secrets page is one 4 KiB page")
    }
  }
}
