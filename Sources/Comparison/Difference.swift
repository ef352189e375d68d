package import JSON

/// One fact that is not the same on both sides.
package struct Difference: Equatable, Sendable {
  /// Bytes of a value on each side. The numbers are small ones, since very many differences may be kept.
  package struct Sizes: Equatable, Sendable {
    package var before: UInt32
    package var after: UInt32

    package init(before: Int, after: Int) {
      (self.before, self.after) = (UInt32(clamping: before), UInt32(clamping: after))
    }
  }

  package enum Change: Equatable, Sendable {
    /// Only the second side has it.
    case added
    /// Only the first side has it.
    case removed
    case changed(before: JSON, after: JSON)
    /// Long values: how many bytes differ, the first of them, and the bytes from there on, in hex.
    case bytes(count: Int, first: Int, before: String, after: String, sizes: Sizes)
    /// Many elements of one array: how many differ, the first of them, and what that is.
    case elements(count: Int, first: Int, before: JSON, after: JSON)
  }

  package var area: Area
  /// The thing that has the fact: "hpet", "1"; empty where an area is one thing.
  package var name: String
  /// The fact: "RIP", "timer[0].cmp"; nil for the whole thing.
  package var field: String?
  package var change: Change
  /// Nil for a difference that stands for itself.
  package var cause: Cause?

  package init(
    area: Area, name: String, field: String? = nil, change: Change, cause: Cause? = nil
  ) {
    (self.area, self.name, self.field) = (area, name, field)
    (self.change, self.cause) = (change, cause)
  }

  /// What a rule is held against: area, name and field, those that there are, with slashes between them.
  package var path: String {
    [area.rawValue, name, field ?? ""].filter { !$0.isEmpty }.joined(separator: "/")
  }
}

/// Consecutive pages that differ in one way.
package struct PageDifference: Equatable, Sendable {
  package enum Change: Hashable, Sendable {
    case content
    /// The pages are all zero on the first side.
    case filled
    /// The pages are all zero on the second side.
    case cleared
    /// The same key encrypts other bytes.
    case ciphertext
    /// Only the second side has records of the pages.
    case recordAdded
    /// Only the first side has.
    case recordRemoved
    case record(before: PageRecordFacts, after: PageRecordFacts)
  }

  package var block: String
  /// Offset of the first page in the block.
  package var offset: UInt64
  /// Its guest-physical address, where that is known.
  package var gpa: UInt64?
  /// Pages of 4096 bytes.
  package var pages: UInt64
  package var change: Change
  package var cause: Cause?

  /// What it has in common with other runs.
  package var kind: PageKind { PageKind(block: block, change: change, cause: cause) }

  /// Extends the run by the next page, if that differs in the same way.
  mutating func join(_ next: PageDifference) -> Bool {
    let size = pages &* 4096
    guard next.block == block, next.change == change, next.cause == cause,
      next.offset == offset &+ size, next.gpa == gpa.map({ $0 &+ size })
    else { return false }
    pages += next.pages
    return true
  }

  package var area: Area { kind.area }
}

/// Pages of one block that differ in one way.
package struct PageKind: Hashable, Sendable {
  package var block: String
  package var change: PageDifference.Change
  package var cause: Cause?

  package var area: Area {
    switch change {
    case .content, .filled, .cleared, .ciphertext: .memory
    case .recordAdded, .recordRemoved, .record: .record
    }
  }
}

/// Consecutive pages whose state differs.
package struct StateDifference: Equatable, Sendable {
  package var gpa: UInt64
  package var pages: UInt64
  /// Nil where the first side has no memory.
  package var before: PageStateFacts?
  /// Nil where the second side has none.
  package var after: PageStateFacts?
}

/// Facts of one side that could not be compared.
package struct Uncompared: Equatable, Sendable {
  package enum Reason: Equatable, Sendable {
    /// They are encrypted, and a key is missing.
    case needsInstance
    /// The other side has nothing of the kind.
    case form
    /// They are more than are kept.
    case tooLarge
    /// They cannot be decoded.
    case unknown
  }

  package var area: Area
  package var reason: Reason
  /// Number of pages, of memory.
  package var pages: UInt64?
}
