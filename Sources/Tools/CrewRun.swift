internal import Threads

extension WorkCrew {
  /// Performs all items, as many at once as keep the crew busy, and tells of each in order when it is
  /// done. With one job an item is performed where it is submitted: none is submitted ahead then, or
  /// nothing could be told before the last.
  func performAll<Item: WorkItem>(_ items: [Item], done: (Item) -> Void) {
    let ahead = jobs == 1 ? 0 : 2 * jobs
    for index in 0..<items.count + ahead {
      if index < items.count { submit(items[index]) }
      guard index >= ahead else { continue }
      finish(items[index - ahead])
      done(items[index - ahead])
    }
  }
}
