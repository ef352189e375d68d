internal import DequeModule
internal import Glibc

/// A piece of work that any thread of a `WorkCrew` may perform.
///
/// It belongs to the owner of the crew, except that from `submit` until `finish` it belongs to the
/// one thread that performs it. That is why a subclass may pass between threads although it keeps
/// its operands and its result in plain properties. An item can be submitted any number of times.
open class WorkItem: @unchecked Sendable {
  fileprivate enum Stage { case idle, queued, running, done }
  /// Guarded by the monitor of the crew's queue.
  fileprivate var stage = Stage.idle

  package init() {}

  /// Performs the work. A subclass stores an error as part of its result, which the owner reads
  /// after `finish`.
  open func perform() {}
}

/// A fixed number of worker threads, including the owner's thread, for work that can be done in any
/// order.
///
/// The owner submits items and does all work that needs an order itself; whenever it waits for an
/// item, it performs items too, the oldest first. So with one job no other thread is needed, and no
/// thread is idle while there is work. Only the owner's thread may call the methods.
package final class WorkCrew {
  /// Number of threads, including the owner's.
  package let jobs: Int
  /// Largest number of jobs.
  package static let maximumJobs = 256

  private let queue = WorkQueue()
  private var threads: [pthread_t] = []

  /// - Parameter jobs: number of threads, including the owner's; fewer are used when the system
  ///   cannot start as many.
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

  /// Queues an item. With one job, the owner performs it at once, while its data are in the cache.
  /// Precondition: the item is not queued already.
  package func submit(_ item: WorkItem) {
    guard jobs > 1 else { return item.perform() }
    queue.add(item)
  }

  /// Returns once the item is done, and performs other items until then.
  package func finish(_ item: WorkItem) {
    guard jobs > 1 else { return }
    queue.finish(item)
  }
}

/// The queue of submitted items, which the threads of a crew share.
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

  /// Starts a thread that performs items until `end`; nil when the system cannot start one.
  func startThread() -> pthread_t? {
    var thread = pthread_t()
    let queue = unsafe Unmanaged.passRetained(self)
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        // Takes over the reference that was passed to the thread; this happens once.
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

  /// Performs one item without holding the lock, which is held before and after.
  private func perform(_ item: WorkItem) {
    item.stage = .running
    monitor.unlock()
    item.perform()
    monitor.lock()
    item.stage = .done
    // Only the owner waits for this condition.
    monitor.signal(Self.isDone)
  }
}

extension WorkCrew {
  /// Performs all items, enough of them at once to keep all threads busy, and calls `done` for each
  /// in order. With one job an item is performed when it is submitted; then none is submitted
  /// ahead, so that `done` is called for each item before the next one is performed.
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
