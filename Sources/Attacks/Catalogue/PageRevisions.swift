internal import Errors
internal import SVSM
internal import Wire

/// The page records whose page came before, found by reading the metadata of every record.
struct PageRevisions {
  enum Name: String {
    /// Records of pages that come only once.
    case once
    /// Records with the operation "migrate again".
    case again
    /// For each of those, the record that it supersedes.
    case older
    /// Records that withdraw a page.
    case cancel
    /// Records that withdraw a page that does not come again afterwards.
    case withdrawn
  }

  private var once: [Int] = []
  private var again: [Int] = []
  private var older: [Int] = []
  private var cancel: [Int] = []
  private var withdrawn: [Int] = []

  init(_ input: Materials.Input) throws(MigrationError) {
    var latest: [UInt64: Int] = [:]
    var repeated: Set<UInt64> = []
    for index in 0..<input.anatomy.count(.page) {
      guard let part = input.anatomy.part(.page, index) else { continue }
      let head = try input.store.read(
        part.body..<part.body + UInt64(PageMetadata.encodedSize))
      let metadata = PageMetadata.Layout.Metadata(at: 0, of: head.span)
      let gpa = metadata.gpa.value
      switch PageMetadata.Operation(rawValue: metadata.operation.value) {
      case .migrateAgain:
        again.append(index)
        if let before = latest[gpa] { older.append(before) }
      case .cancel: cancel.append(index)
      default: break
      }
      if latest.updateValue(index, forKey: gpa) != nil { repeated.insert(gpa) }
    }
    once = latest.filter { !repeated.contains($0.key) }.values.sorted()
    withdrawn = cancel.filter(Set(latest.values).contains)
  }

  subscript(name: Name) -> [Int] {
    switch name {
    case .once: once
    case .again: again
    case .older: older
    case .cancel: cancel
    case .withdrawn: withdrawn
    }
  }
}
