internal import DequeModule
internal import Threads

/// Work items that are handed over and taken back in the same order, and used again and again.
final class InFlight<Item: WorkItem> {
  private let limit: Int
  private var submitted: Deque<Item> = []
  private var free: [Item] = []

  /// As many as keep a crew at work: each job has one, and finds the next at hand.
  init(for crew: WorkCrew) { limit = crew.jobs == 1 ? 1 : 2 * crew.jobs + 2 }

  /// Whether as many are under way as there may be.
  var isFull: Bool { submitted.count >= limit }

  /// Whether none is under way.
  var isEmpty: Bool { submitted.isEmpty }

  /// An item that is not under way, if one was made before.
  func takeFree() -> Item? { free.popLast() }

  /// Hands an item over.
  func submit(_ item: Item, to crew: WorkCrew) {
    submitted.append(item)
    crew.submit(item)
  }

  /// Waits for the oldest item and takes it back; nil when none is under way.
  func finishOldest(with crew: WorkCrew) -> Item? {
    guard let item = submitted.popFirst() else { return nil }
    crew.finish(item)
    return item
  }

  /// The item's outcome is used: it may serve again.
  func recycle(_ item: Item) { free.append(item) }
}
