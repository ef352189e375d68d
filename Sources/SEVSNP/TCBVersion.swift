internal import Bytes

/// A TCB version: the security patch levels of one platform, eight bytes.
///
/// The bytes mean different things on different products, so a version has no order of its own:
/// take its `components` for a product and compare those. Reading it as one integer is wrong, the
/// most significant byte (microcode) would outweigh all others.
///
///     byte  Milan, Genoa  Turin, Venice
///        0  boot loader   FMC
///        1  TEE           boot loader
///        2  zero          TEE
///        3  zero          SNP
///     4..5  zero          zero
///        6  SNP           zero
///        7  microcode     microcode
public struct TCBVersion: Equatable, Hashable, Sendable {
  /// The eight bytes as a little-endian integer: byte 0 is the least significant.
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The version that has `components` on `product`; FMC is dropped where the product has none.
  public init(_ components: Components, for product: Product) {
    let bytes: [UInt8] =
      switch product {
      case .milan, .genoa:
        [components.bootLoader, components.tee, 0, 0, 0, 0, components.snp, components.microcode]
      case .turin, .venice:
        [
          components.fmc ?? 0, components.bootLoader, components.tee, components.snp, 0, 0, 0,
          components.microcode,
        ]
      }
    rawValue = bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// The levels, each a number of its own.
  public struct Components: Equatable, Hashable, Sendable {
    /// First mutable code; nil on products without it (Milan, Genoa).
    public var fmc: UInt8?
    public var bootLoader: UInt8
    public var tee: UInt8
    public var snp: UInt8
    public var microcode: UInt8

    public init(
      fmc: UInt8? = nil, bootLoader: UInt8, tee: UInt8, snp: UInt8, microcode: UInt8
    ) {
      self.fmc = fmc
      self.bootLoader = bootLoader
      self.tee = tee
      self.snp = snp
      self.microcode = microcode
    }

    /// True when no component is below that of `other`. Two versions may each fail to be at
    /// least the other: this is no total order.
    public func isAtLeast(_ other: Components) -> Bool {
      (fmc ?? 0) >= (other.fmc ?? 0) && bootLoader >= other.bootLoader && tee >= other.tee
        && snp >= other.snp && microcode >= other.microcode
    }
  }

  /// The byte at `index` (0 to 7) in memory order.
  private func byte(_ index: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: rawValue >> (8 * index)) }

  /// The levels in the layout of `product`.
  public func components(for product: Product) -> Components {
    switch product {
    case .milan, .genoa:
      Components(bootLoader: byte(0), tee: byte(1), snp: byte(6), microcode: byte(7))
    case .turin, .venice:
      Components(
        fmc: byte(0), bootLoader: byte(1), tee: byte(2), snp: byte(3), microcode: byte(7))
    }
  }

  /// True when every byte that has no meaning on `product` is zero.
  public func hasZeroReserved(for product: Product) -> Bool {
    self == TCBVersion(components(for: product), for: product)
  }

  /// The eight bytes in memory order, as hex digits.
  public var hex: String { Hex.encode((0..<8).map { byte($0) }) }
}

extension TCBVersion.Components: CustomStringConvertible {
  public var description: String {
    (fmc.map { "fmc \($0) " } ?? "")
      + "boot loader \(bootLoader) tee \(tee) snp \(snp) microcode \(microcode)"
  }
}
