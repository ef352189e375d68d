internal import DequeModule
internal import Glibc

/// A piece of work that any thread of a crew may do.
///
/// It belongs to the crew's owner, but from `submit` until `finish` to the one thread that does it:
/// that is why a subclass, which keeps its operands and its outcome in plain properties, may cross
/// threads. Made once and submitted again and again.
open class WorkItem: @unchecked Sendable {
  fileprivate enum Stage { case idle, queued, running, done }
  /// Guarded by the crew's monitor.
  fileprivate var stage = Stage.idle

  package init() {}

  /// Does the work. What goes wrong is kept for the owner, who looks after `finish`.
  open func perform() {}
}

/// A fixed number of threads for work whose order does not matter, among them that of the owner.
///
/// The owner submits items and does the rest in order himself; whenever he waits for an item he
/// works too, oldest item first. So one job needs no thread at all, and no job is ever idle while
/// there is work. All methods are for the owner's thread.
package final class WorkCrew {
  /// Threads that work, the owner's included.
  package let jobs: Int
  /// Jobs there may be.
  package static let maximumJobs = 256

  private let queue = WorkQueue()
  private var threads: [pthread_t] = []

  /// - Parameter jobs: threads that work, the owner's included; where the system gives fewer, fewer
  ///   work.
  package init(jobs: Int) {
    let wanted = min(max(jobs, 1), Self.maximumJobs)
    for _ in 1..<wanted {
      guard let thread = queue.startThread() else { break }
      threads.append(thread)
    }
    self.jobs = threads.count + 1
  }

  deinit {
    queue.end()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Hands an item over. Alone, the owner does it at once, while its data are in the cache.
  /// Precondition: the item is not with a crew.
  package func submit(_ item: WorkItem) {
    guard jobs > 1 else { return item.perform() }
    queue.add(item)
  }

  /// Returns once the item is done, and does other work while it is not.
  package func finish(_ item: WorkItem) {
    guard jobs > 1 else { return }
    queue.finish(item)
  }
}

/// Items that wait to be done, shared by the threads of a crew.
private final class WorkQueue: @unchecked Sendable {
  private static let hasWork = 0
  private static let isDone = 1

  private let monitor = Monitor(conditions: 2)
  // Guarded by the monitor.
  private var waiting: Deque<WorkItem> = []
  private var hasEnded = false

  func add(_ item: WorkItem) {
    monitor.lock()
    precondition(item.stage == .idle)
    item.stage = .queued
    waiting.append(item)
    monitor.unlock()
    monitor.signal(Self.hasWork)
  }

  func finish(_ item: WorkItem) {
    monitor.lock()
    while item.stage != .done {
      precondition(item.stage != .idle)
      if let next = waiting.popFirst() { perform(next) } else { monitor.wait(for: Self.isDone) }
    }
    item.stage = .idle
    monitor.unlock()
  }

  func end() {
    monitor.lock()
    hasEnded = true
    monitor.unlock()
    monitor.broadcast(Self.hasWork)
  }

  /// A thread that works until the end; nil when the system gives none.
  func startThread() -> pthread_t? {
    var thread = pthread_t()
    let queue = unsafe Unmanaged.passRetained(self)
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        // The reference that was passed to the thread, taken back once.
        if let argument = unsafe argument {
          unsafe Unmanaged<WorkQueue>.fromOpaque(argument).takeRetainedValue().work()
        }
        return nil
      }, unsafe queue.toOpaque())
    guard status == 0 else {
      unsafe queue.release()
      return nil
    }
    return thread
  }

  private func work() {
    monitor.lock()
    while !hasEnded {
      if let next = waiting.popFirst() { perform(next) } else { monitor.wait(for: Self.hasWork) }
    }
    monitor.unlock()
  }

  /// Does one item, without the lock, which is held before and after.
  private func perform(_ item: WorkItem) {
    item.stage = .running
    monitor.unlock()
    item.perform()
    monitor.lock()
    item.stage = .done
    // Only the owner waits for this.
    monitor.signal(Self.isDone)
  }
}

extension WorkCrew {
  /// Performs all items, as many at once as keep the crew busy, and tells of each in order when it is
  /// done. With one job an item is performed where it is submitted: none is submitted ahead then, or
  /// nothing could be told before the last.
  package func performAll<Item: WorkItem>(_ items: [Item], done: (Item) -> Void) {
    let ahead = jobs == 1 ? 0 : 2 * jobs
    for index in 0..<items.count + ahead {
      if index < items.count { submit(items[index]) }
      guard index >= ahead else { continue }
      finish(items[index - ahead])
      done(items[index - ahead])
    }
  }
}
