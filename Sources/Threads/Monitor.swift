internal import Glibc

/// A mutex with condition variables.
///
/// It is a POSIX mutex and not `Synchronization.Mutex`, which has no condition variables and for
/// which the thread sanitizer reports false races. Mutex and conditions are allocated separately,
/// because they must not move in memory.
@safe package final class Monitor: @unchecked Sendable {
  /// The condition variables, `conditionCount` of them.
  private let conditions: UnsafeMutablePointer<pthread_cond_t>
  private let conditionCount: Int
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>

  /// - Parameter conditions: number of conditions; they are numbered from 0.
  package init(conditions count: Int = 0) {
    // The memory is freed in deinit, when no thread can hold the lock or wait any more.
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

  /// Takes the lock, and waits while another thread holds it. The lock is not recursive.
  package func lock() { unsafe pthread_mutex_lock(mutex) }
  /// Releases the lock. Precondition: the calling thread holds it.
  package func unlock() { unsafe pthread_mutex_unlock(mutex) }

  /// Releases the lock, waits until the condition is signalled, and takes the lock again. It may
  /// return without a signal, so it must be called in a loop. Precondition: the lock is held, and
  /// the condition exists.
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
