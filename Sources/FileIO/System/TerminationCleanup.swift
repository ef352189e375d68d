package import Errors
internal import Glibc
internal import Synchronization
internal import SystemPackage
internal import Threads

/// Removes unfinished outputs when a signal ends the process.
///
/// Every temporary file and folder is registered while it exists. A separate thread waits for the
/// signals, so that the clean-up is ordinary code and not a signal handler; a signal that reaches
/// another thread is forwarded to this thread.
package enum TerminationCleanup {
  /// Prepares for the signals that end a process, and ignores SIGPIPE and SIGXFSZ so that a closed pipe
  /// and a file that reaches its size limit are write errors. To be called at the start of a tool,
  /// before other threads are started: they inherit the blocked signals. A signal that was ignored
  /// before (as under nohup) remains ignored.
  package static func install() {
    _ = installed
  }

  /// The signals that end a process without being an error of its own, SIGKILL aside (signal(7)).
  private static let deadly = [
    SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGXCPU, SIGPOLL,
    SIGPWR, SIGSTKFLT,
  ]
  /// The signals of an error of the process itself. Swift's runtime handles them and prints registers and
  /// what they point to, which may be keys or pages.
  private static let faults = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS]

  private static let installed: Void = {
    for number in faults { signal(number, SIG_DFL) }
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    var awaited = sigset_t()
    unsafe sigemptyset(&awaited)
    for number in deadly where !isIgnored(number) {
      unsafe sigaddset(&awaited, number)
    }
    unsafe pthread_sigmask(SIG_BLOCK, &awaited, nil)
    let box = UnsafeMutablePointer<sigset_t>.allocate(capacity: 1)
    unsafe box.initialize(to: awaited)
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        // This thread owns the set and lives as long as the process.
        if let set = unsafe argument?.assumingMemoryBound(to: sigset_t.self) {
          unsafe TerminationCleanup.waitAndDie(of: set)
        }
        return nil
      }, box)
    if status == 0 {
      pthread_detach(thread)
      waiter.store(UInt(thread), ordering: .releasing)
      for number in deadly where !isIgnored(number) {
        // pthread_kill is one of the few functions that a signal handler may call.
        signal(number) { _ = pthread_kill(pthread_t(waiter.load(ordering: .acquiring)), $0) }
      }
    } else {
      // Without the thread the signals must keep their default effect.
      unsafe pthread_sigmask(SIG_UNBLOCK, &awaited, nil)
    }
  }()

  /// Runs `body`; a signal that arrives meanwhile takes effect only afterwards. For a step that
  /// turns an unfinished output into one that is kept: the output must not be removed in the middle
  /// of it.
  package static func delayed<Value>(
    _ body: () throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    try Registry.shared.withoutRemoval(body)
  }

  /// The thread that waits for signals.
  private static let waiter = Atomic<UInt>(0)

  private static func isIgnored(_ number: CInt) -> Bool {
    var action = sigaction()
    guard unsafe sigaction(number, nil, &action) == 0 else { return false }
    let handler = unsafe action.__sigaction_handler.sa_handler
    return unsafe unsafeBitCast(handler, to: Int.self) == 1  // SIG_IGN
  }

  private static func waitAndDie(of set: UnsafeMutablePointer<sigset_t>) {
    var number: CInt = 0
    while unsafe sigwait(set, &number) != 0 {}
    Registry.shared.removeAllForEver()
    // The signal is raised again with its default effect, so that the parent process sees which
    // signal ended this one.
    signal(number, SIG_DFL)
    unsafe pthread_sigmask(SIG_UNBLOCK, set, nil)
    kill(getpid(), number)
  }
}

/// The temporary outputs of this process.
final class Registry: @unchecked Sendable {
  static let shared = Registry()

  /// One unfinished output: its files, and the folder that holds them if that is temporary, too.
  struct Entry {
    var files: [FilePath] = []
    var folder: FilePath?

    /// Removes the files and the folder; those that no longer exist are ignored.
    func remove() {
      for file in files { try? SystemCall.unlink(file) }
      if let folder { try? SystemCall.removeFolder(folder) }
    }
  }

  /// A key that no entry has.
  static let noKey: UInt64 = 0

  // Guards `entries` and `nextKey`.
  private let monitor = Monitor()
  // Held during a step that the final removal must wait for; always locked before `monitor`.
  private let step = Monitor()
  private var entries: [UInt64: Entry] = [:]
  private var nextKey: UInt64 = 0

  private init() {}

  /// Runs `create` and registers what it made, with no gap in between in which a signal could take
  /// effect.
  func add(_ entry: Entry, _ create: () throws(Errno) -> Void) throws(Errno) -> UInt64 {
    monitor.lock()
    defer { monitor.unlock() }
    try create()
    nextKey += 1
    entries[nextKey] = entry
    return nextKey
  }

  /// Runs `create` and registers one more file of an entry.
  func add(
    file: FilePath, to key: UInt64, _ create: () throws(Errno) -> Void
  ) throws(Errno) {
    monitor.lock()
    defer { monitor.unlock() }
    try create()
    entries[key]?.files.append(file)
  }

  /// Runs `finish`, which gives the output its final name, and removes the entry when it succeeds.
  func settle(_ key: UInt64, _ finish: () throws(Errno) -> Void) throws(Errno) {
    monitor.lock()
    defer { monitor.unlock() }
    try finish()
    entries[key] = nil
  }

  /// Removes an entry and keeps its files.
  func forget(_ key: UInt64) {
    monitor.lock()
    defer { monitor.unlock() }
    entries[key] = nil
  }

  /// Runs `body`; the final removal waits until it has ended.
  func withoutRemoval<Value>(
    _ body: () throws(MigrationError) -> Value
  ) throws(MigrationError) -> Value {
    step.lock()
    defer { step.unlock() }
    return try body()
  }

  /// Removes an entry and its files.
  func discard(_ key: UInt64) {
    monitor.lock()
    defer { monitor.unlock() }
    entries.removeValue(forKey: key)?.remove()
  }

  /// Removes all files and never releases the two locks, so that nothing is created or renamed any
  /// more: the process is about to end.
  func removeAllForEver() {
    step.lock()
    monitor.lock()
    for entry in entries.values { entry.remove() }
  }
}
