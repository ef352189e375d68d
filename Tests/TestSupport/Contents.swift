private import Glibc

/// What tests need and the machine does not give.
package struct SupportFailure: Error, CustomStringConvertible {
  package var description: String
}

// Foundation would do, but keeps a page of every empty file it reads, which a leak checker reports.
/// A whole file.
func contents(of path: String) throws -> [UInt8] {
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw SupportFailure(description: "cannot read \(path)") }
  defer { close(descriptor) }
  return contents(of: descriptor)
}

/// All that is left to read, up to the end or an error.
func contents(of descriptor: Int32) -> [UInt8] {
  var output: [UInt8] = []
  while true {
    let piece = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
      let got = unsafe read(descriptor, buffer.baseAddress, 1 << 20)
      count = max(0, got)
    }
    if piece.isEmpty { return output }
    output += piece
  }
}
