internal import CLinux
internal import Glibc
internal import SystemPackage

/// The system calls that swift-system does not have. Each function makes one C call, and repeats it
/// when a signal interrupts it; C strings are valid only during the call.
enum SystemCall {
  enum RenameMode: CUnsignedInt {
    case replace = 0
    /// Fails with `EEXIST` when the new name exists.
    case keepExisting = 1
    /// Exchanges the two files in one step; both names must exist.
    case exchange = 2
  }

  /// rename(2), renameat2(2).
  static func rename(_ old: FilePath, to new: FilePath, _ mode: RenameMode) throws(Errno) {
    try unsafe withPaths(old, new) { old, new in
      unsafe mode == .replace
        ? Glibc.rename(old, new)
        : renameat2(AT_FDCWD, old, AT_FDCWD, new, mode.rawValue)
    }
  }

  /// statx(2): the creation time of the file or folder at `path`, in nanoseconds since 1970; 0 on a
  /// file system that does not record it.
  static func birthTime(of path: FilePath) throws(Errno) -> UInt64 {
    // Words 0, 10 and 11 of a struct statx are the mask of valid fields, the seconds and the
    // nanoseconds.
    var result = [UInt64](repeating: 0, count: 32)
    let wantsBirth: CUnsignedInt = 0x800
    try retrying {
      unsafe path.withPlatformString { path in
        unsafe result.withUnsafeMutableBytes { result in
          unsafe statx(AT_FDCWD, path, 0, wantsBirth, result.baseAddress)
        }
      }
    }
    guard result[0] & UInt64(wantsBirth) != 0 else { return 0 }
    return result[10] &* 1_000_000_000 &+ (result[11] & 0xFFFF_FFFF)
  }

  /// unlink(2).
  static func unlink(_ path: FilePath) throws(Errno) {
    try unsafe withPaths(path, path) { path, _ in unsafe Glibc.unlink(path) }
  }

  /// rmdir(2): removes an empty folder.
  static func removeFolder(_ path: FilePath) throws(Errno) {
    try unsafe withPaths(path, path) { path, _ in unsafe rmdir(path) }
  }

  /// mkdir(2).
  static func makeFolder(_ path: FilePath, _ permissions: FilePermissions) throws(Errno) {
    try unsafe withPaths(path, path) { path, _ in unsafe mkdir(path, permissions.rawValue) }
  }

  /// fsync(2).
  static func synchronize(_ descriptor: FileDescriptor) throws(Errno) {
    try retrying { fsync(descriptor.rawValue) }
  }

  /// sync_file_range(2) with SYNC_FILE_RANGE_WRITE (2), which Swift does not import: the kernel begins to
  /// put what was written on the disk. Errors are ignored: `synchronize` finds what matters.
  static func startSynchronizing(_ descriptor: FileDescriptor) {
    _ = sync_file_range(descriptor.rawValue, 0, 0, 2)
  }

  /// fallocate(2) with FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE (3), which Swift does not import:
  /// makes a range of the file a hole.
  static func punchHole(
    _ descriptor: FileDescriptor, at offset: Int64, count: Int64
  ) throws(Errno) {
    try retrying { fallocate(descriptor.rawValue, 3, Int(offset), Int(count)) }
  }

  /// posix_fadvise(2): announces that the file will be read from start to end. Errors are ignored,
  /// since this is only advice.
  static func adviseSequential(_ descriptor: FileDescriptor) {
    _ = posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_SEQUENTIAL)
  }

  /// lseek(2) with SEEK_DATA (3) or SEEK_HOLE (4), whose names Swift does not import.
  static func seek(
    _ descriptor: FileDescriptor, from offset: Int64, toHole: Bool
  ) throws(Errno) -> Int64 {
    let found = lseek(descriptor.rawValue, off_t(offset), toHole ? 4 : 3)
    guard found >= 0 else { throw Errno(rawValue: errno) }
    return Int64(found)
  }

  /// realpath(3): `path` with every symbolic link followed.
  static func realPath(_ path: FilePath) throws(Errno) -> FilePath {
    let resolved = unsafe path.withPlatformString { unsafe realpath($0, nil) }
    // The caller must free the C string.
    guard let resolved = unsafe resolved else { throw Errno(rawValue: errno) }
    defer { unsafe free(resolved) }
    return unsafe FilePath(platformString: resolved)
  }

  /// readlink(2): the final target of the symbolic link at `path`, which need not exist.
  static func end(ofLink path: FilePath) throws(Errno) -> FilePath {
    var end = path
    // The kernel follows at most 40 links, too.
    for _ in 0..<40 {
      guard let next = try target(ofLink: end) else { return end }
      end = end.removingLastComponent().pushing(next)
    }
    throw .tooManySymbolicLinkLevels
  }

  /// The target of one symbolic link; nil when `path` is not a link or does not exist.
  private static func target(ofLink path: FilePath) throws(Errno) -> FilePath? {
    let room = 4096
    // The last byte remains zero and terminates the text.
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: room)
    defer { unsafe text.deallocate() }
    unsafe text.initialize(repeating: 0, count: room)
    let count = unsafe path.withPlatformString { unsafe readlink($0, text, room - 1) }
    if count >= 0 { return unsafe FilePath(platformString: text) }
    let failure = Errno(rawValue: errno)
    guard failure == .invalidArgument || failure == .noSuchFileOrDirectory else { throw failure }
    return nil
  }

  /// readdir(3): the names in a folder except "." and "..", in no particular order.
  static func entries(of folder: FilePath) throws(Errno) -> [String] {
    let stream = unsafe folder.withPlatformString { unsafe opendir($0) }
    guard let stream = unsafe stream else { throw Errno(rawValue: errno) }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else {
        guard errno == 0 else { throw Errno(rawValue: errno) }
        return names
      }
      // d_name is NUL-terminated within the record's array; the entry lives until the next call.
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { name in
        unsafe String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }

  /// Runs a call of swift-system, which throws only `Errno` but is not declared so.
  static func typed<Value>(_ call: () throws -> Value) throws(Errno) -> Value {
    do {
      return try call()
    } catch let failure as Errno {
      throw failure
    } catch {
      throw .ioError
    }
  }

  private static func withPaths(
    _ first: FilePath, _ second: FilePath,
    _ call: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> CInt
  ) throws(Errno) {
    try retrying {
      unsafe first.withPlatformString { first in
        unsafe second.withPlatformString { second in unsafe call(first, second) }
      }
    }
  }

  private static func retrying(_ call: () -> CInt) throws(Errno) {
    while call() == -1 {
      let failure = Errno(rawValue: errno)
      guard failure == .interrupted else { throw failure }
    }
  }
}
