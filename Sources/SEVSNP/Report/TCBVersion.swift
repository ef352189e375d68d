internal import JSON
internal import Wire

/// A TCB version: the security patch levels of one platform, eight bytes.
///
/// The bytes have different meanings on different products, so versions have no order of their own:
/// compare their `components` for a product. Comparing them as integers is wrong, because the most
/// significant byte (microcode) would outweigh all others.
///
///     byte  Milan, Genoa  Turin        Venice
///        0  boot loader   FMC          FMC
///        1  TEE           boot loader  TEE
///        2  zero          TEE          SNP
///        3  zero          SNP          zero
///     4..5  zero          zero         zero
///        6  SNP           zero         zero
///        7  microcode     microcode    zero
package struct TCBVersion: Equatable, Hashable, Sendable {
  /// The eight bytes as a little-endian integer: byte 0 is the least significant.
  package var rawValue: UInt64

  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// One of the levels of a version. The raw value is its name in a policy and in JSON.
  package enum Level: String, CaseIterable, Sendable {
    /// First mutable code.
    case fmc
    case bootLoader, tee, snp, microcode

    /// Name at AMD's key server and of the certificate extension.
    var amdName: String {
      switch self {
      case .fmc: "fmcSPL"
      case .bootLoader: "blSPL"
      case .tee: "teeSPL"
      case .snp: "snpSPL"
      case .microcode: "ucodeSPL"
      }
    }
  }

  /// The version that has `components` on `product`. Levels that the product does not have are
  /// dropped, and levels missing from `components` are zero.
  package init(_ components: Components, for product: Product) {
    rawValue = product.levels.reduce(0) { value, place in
      value | UInt64(components[place.level] ?? 0) << (8 * UInt64(place.byte))
    }
  }

  /// The levels as separate numbers.
  package struct Components: Equatable, Hashable, Sendable {
    private var numbers: [Level: UInt8]

    /// A level that is left out is one that the product does not have.
    package init(
      fmc: UInt8? = nil, bootLoader: UInt8? = nil, tee: UInt8, snp: UInt8, microcode: UInt8? = nil
    ) {
      numbers = [.tee: tee, .snp: snp]
      (numbers[.fmc], numbers[.bootLoader], numbers[.microcode]) = (fmc, bootLoader, microcode)
    }

    /// The levels of `product`, with values from `number`.
    init<Failure>(
      of product: Product, _ number: (Level) throws(Failure) -> UInt8
    ) throws(Failure) {
      numbers = [:]
      for (level, _) in product.levels { numbers[level] = try number(level) }
    }

    /// The value of a level; nil on products without it.
    package subscript(level: Level) -> UInt8? {
      get { numbers[level] }
      set { numbers[level] = newValue }
    }

    /// Whether no component is below that of `other`. This is not a total order: of two versions,
    /// neither may be at least the other.
    package func isAtLeast(_ other: Components) -> Bool {
      other.numbers.allSatisfy { numbers[$0.key] ?? 0 >= $0.value }
    }
  }

  /// The byte at `index` (0 to 7) in memory order.
  private func byte(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: rawValue >> (8 * index)) }

  /// The levels in the layout of `product`.
  package func components(for product: Product) -> Components {
    let bytes = [Level: Int](uniqueKeysWithValues: product.levels.map { ($0.level, $0.byte) })
    return Components(of: product) { byte(bytes[$0] ?? 0) }
  }

  /// Whether every byte that has no meaning on `product` is zero.
  package func hasZeroReserved(for product: Product) -> Bool {
    self == TCBVersion(components(for: product), for: product)
  }

  /// The eight bytes in memory order, as hex digits.
  package var hex: String { Hex.encode((0..<8).map { byte($0) }) }

  /// The text of this version next to another, chosen so that the difference shows: the levels, or
  /// the bytes when only bytes without meaning differ.
  func text(beside other: TCBVersion, for product: Product?) -> String {
    guard let product else { return hex }
    let parts = components(for: product)
    return parts == other.components(for: product) && self != other ? hex : "\(parts)"
  }
}

extension Product {
  /// The levels of the product's TCB, and the byte of each in a version.
  package var levels: [(level: TCBVersion.Level, byte: Int)] {
    switch self {
    case .milan, .genoa: [(.bootLoader, 0), (.tee, 1), (.snp, 6), (.microcode, 7)]
    case .turin: [(.fmc, 0), (.bootLoader, 1), (.tee, 2), (.snp, 3), (.microcode, 7)]
    case .venice: [(.fmc, 0), (.tee, 1), (.snp, 2)]
    }
  }
}

extension TCBVersion.Components: CustomStringConvertible {
  package var description: String {
    TCBVersion.Level.allCases.compactMap { level in
      self[level].map { "\(level == .bootLoader ? "boot loader" : level.rawValue) \($0)" }
    }.joined(separator: " ")
  }
}
