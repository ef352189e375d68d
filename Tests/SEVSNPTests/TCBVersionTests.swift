import SEVSNP
import Testing

@Suite struct TCBVersionTests {
  @Test(
    arguments: [
      (
        product: Product.milan, raw: 0xDB18_0000_0000_0004,
        text: "boot loader 4 tee 0 snp 24 microcode 219"
      ),
      (.genoa, 0x5417_0000_0000_000A, "boot loader 10 tee 0 snp 23 microcode 84"),
      (.venice, 0x0003_0201, "fmc 1 tee 2 snp 3"),
      (.turin, 0x5100_0000_0401_0102, "fmc 2 boot loader 1 tee 1 snp 4 microcode 81"),
    ] as [(Product, UInt64, String)])
  func bytesMeanWhatTheProductSays(product: Product, raw: UInt64, text: String) {
    let version = TCBVersion(rawValue: raw)
    #expect("\(version.components(for: product))" == text)
    #expect(TCBVersion(version.components(for: product), for: product) == version)
    #expect(version.hasZeroReserved(for: product))
  }

  @Test func bytesWithoutMeaningAreNoticed() {
    #expect(!TCBVersion(rawValue: 0x0000_0000_0100_0000).hasZeroReserved(for: .milan))
    #expect(TCBVersion(rawValue: 0x0000_0000_0100_0000).hasZeroReserved(for: .turin))
    #expect(!TCBVersion(rawValue: 0x0001_0000_0000_0000).hasZeroReserved(for: .turin))
    #expect(!TCBVersion(rawValue: 0x0100_0000_0000_0000).hasZeroReserved(for: .venice))
    #expect(!TCBVersion(rawValue: 0x0000_0000_0100_0000).hasZeroReserved(for: .venice))
    #expect(TCBVersion(rawValue: 0x0001_0000_0000_0000).hasZeroReserved(for: .genoa))
  }

  @Test(arguments: [Product.milan, .turin])
  func aHigherMicrocodeDoesNotMakeUpForALowerBootLoader(product: Product) {
    let required = TCBVersion.Components(fmc: 1, bootLoader: 4, tee: 1, snp: 8, microcode: 100)
    let offered = TCBVersion.Components(fmc: 1, bootLoader: 3, tee: 1, snp: 8, microcode: 200)
    // As integers the offered one is far above.
    #expect(
      TCBVersion(offered, for: product).rawValue > TCBVersion(required, for: product).rawValue)
    #expect(!offered.isAtLeast(required))
    #expect(!required.isAtLeast(offered))
    #expect(required.isAtLeast(required))
  }

  @Test(arguments: 0..<5)
  func eachComponentCounts(index: Int) {
    func components(_ levels: [UInt8]) -> TCBVersion.Components {
      .init(
        fmc: levels[0], bootLoader: levels[1], tee: levels[2], snp: levels[3],
        microcode: levels[4])
    }
    var levels: [UInt8] = [200, 200, 200, 200, 200]
    let required = components(levels)
    levels[index] = 199
    #expect(!components(levels).isAtLeast(required))
    levels[index] = 201
    #expect(components(levels).isAtLeast(required))
  }

  @Test(
    arguments: [
      (family: 0x19, model: 0x01, product: Product.milan), (0x19, 0x0F, .milan),
      (0x19, 0x11, .genoa), (0x19, 0xA0, .genoa), (0x19, 0xAF, .genoa), (0x1A, 0x02, .turin),
      (0x1A, 0x11, .turin), (0x1A, 0x50, .venice), (0x19, 0x20, nil), (0x19, 0xB0, nil),
      (0x1A, 0x12, nil), (0x17, 0x01, nil),
    ] as [(UInt8, UInt8, Product?)])
  func productsAreRangesOfModels(family: UInt8, model: UInt8, product: Product?) {
    let cpu = CPUIdentity(family: family, model: model, stepping: 1)
    #expect(Product(cpu) == product)
    #expect(CPUIdentity(leaf1: cpu.leaf1) == cpu)
  }

  @Test(
    arguments: [
      (leaf1: 0x00A0_0F11, family: 0x19, model: 0x01), (0x00A1_0F11, 0x19, 0x11),
      (0x00B0_0F21, 0x1A, 0x02), (0x00AA_0F02, 0x19, 0xA0), (0xFFFF_FFFF, 0x0E, 0xFF),
    ] as [(UInt32, UInt8, UInt8)])
  func leafOneIsTakenApart(leaf1: UInt32, family: UInt8, model: UInt8) {
    let cpu = CPUIdentity(leaf1: leaf1)
    #expect(cpu.family == family)
    #expect(cpu.model == model)
  }

  @Test(
    arguments: [
      (name: "Milan-B0", product: Product.milan), ("Milan", .milan), ("Genoa", .genoa),
      ("Turin", .turin), ("Milano", nil), ("milan", nil), ("", nil), ("-Milan", nil),
    ] as [(String, Product?)])
  func productNamesAreExact(name: String, product: Product?) {
    #expect(Product(productName: name) == product)
  }
}
