/// The CMOS of a PC, as QEMU's `pc_cmos_init` fills it in.
package enum CMOS {
  /// - Parameters:
  ///   - below: bytes of memory below the hole at 4 GiB.
  ///   - above: bytes above it.
  package static func bytes(below: UInt64, above: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 128)
    func set(_ offset: Int, _ value: UInt64, _ count: Int = 2) {
      for index in 0..<count { bytes[offset + index] = UInt8(value >> UInt64(8 * index) & 0xff) }
    }
    let mebibyte: UInt64 = 1 << 20
    set(0x15, min(below >> 10, 640))
    let extended = below > mebibyte ? min((below - mebibyte) >> 10, 0xffff) : 0
    set(0x17, extended)
    set(0x30, extended)
    set(0x34, below > 16 * mebibyte ? min((below - 16 * mebibyte) >> 16, 0xffff) : 0)
    set(0x5b, above >> 16, 3)
    return bytes
  }
}
