internal import Glibc

/// A mutex with conditions to wait on.
///
/// A POSIX mutex and not `Synchronization.Mutex`: that one has no condition, and the thread sanitizer
/// reports races where there are none. Both live in memory of their own, because they must not
/// move.
@safe package final class Monitor: @unchecked Sendable {
  /// What a thread waits for; the monitor has as many as it was made with.
  private let conditions: UnsafeMutablePointer<pthread_cond_t>
  private let conditionCount: Int
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// - Parameter conditions: how many conditions there are, numbered from 0.
  package init(conditions count: Int = 0) {
    // Freed in deinit, when nobody can hold or wait any more.
    unsafe mutex = .allocate(capacity: 1)
    unsafe mutex.initialize(to: pthread_mutex_t())
    unsafe pthread_mutex_init(mutex, nil)
    conditionCount = count
    unsafe conditions = .allocate(capacity: max(count, 1))
    for index in 0..<count {
      unsafe (conditions + index).initialize(to: pthread_cond_t())
      unsafe pthread_cond_init(conditions + index, nil)
    }
  }

  deinit {
    for index in 0..<conditionCount { unsafe pthread_cond_destroy(conditions + index) }
    unsafe conditions.deallocate()
    unsafe pthread_mutex_destroy(mutex)
    unsafe mutex.deallocate()
  }

  package func lock() { unsafe pthread_mutex_lock(mutex) }
  package func unlock() { unsafe pthread_mutex_unlock(mutex) }

  /// Gives the lock up until the condition is signalled, and takes it again. May return without a
  /// signal: ask in a loop. Precondition: the lock is held, and there is such a condition.
  package func wait(for condition: Int) {
    precondition(0..<conditionCount ~= condition)
    unsafe pthread_cond_wait(conditions + condition, mutex)
  }

  /// Wakes one thread that waits for the condition.
  package func signal(_ condition: Int) {
    precondition(0..<conditionCount ~= condition)
    unsafe pthread_cond_signal(conditions + condition)
  }

  /// Wakes all threads that wait for the condition.
  package func broadcast(_ condition: Int) {
    precondition(0..<conditionCount ~= condition)
    unsafe pthread_cond_broadcast(conditions + condition)
  }
}
