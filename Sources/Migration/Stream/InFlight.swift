internal import DequeModule
internal import Threads

/// Work items that are submitted and finished in the same order, and reused.
final class InFlight<Item: WorkItem> {
  private let limit: Int
  private var submitted: Deque<Item> = []
  private var free: [Item] = []

  /// The limit keeps all worker threads busy: each job has an item and finds the next one ready.
  init(for crew: WorkCrew) { limit = crew.jobs == 1 ? 1 : 2 * crew.jobs + 2 }

  /// Whether the limit of items in progress is reached.
  var isFull: Bool { submitted.count >= limit }

  /// Whether no item is in progress.
  var isEmpty: Bool { submitted.isEmpty }

  /// An item that is not in progress, if there is one; nil if one has to be made.
  func takeFree() -> Item? { free.popLast() }

  /// Submits an item.
  func submit(_ item: Item, to crew: WorkCrew) {
    submitted.append(item)
    crew.submit(item)
  }

  /// Waits for the oldest item and returns it; nil when no item is in progress.
  func finishOldest(with crew: WorkCrew) -> Item? {
    guard let item = submitted.popFirst() else { return nil }
    crew.finish(item)
    return item
  }

  /// Makes an item available again, after its result was used.
  func recycle(_ item: Item) { free.append(item) }
}
