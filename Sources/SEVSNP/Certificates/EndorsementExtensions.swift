package import Cryptography
package import Errors

/// The contents of AMD's extensions in a VCEK or VLEK certificate (AMD document 57230; arc
/// 1.3.6.1.4.1.3704.1): the chip and the TCB for which the key was derived.
package struct EndorsementExtensions: Equatable, Sendable {
  /// The product name as it is written: "Milan-B0", "Genoa".
  package let productName: String
  package let product: Product
  package let tcb: TCBVersion
  /// hwID of a VCEK, 64 bytes or, on Turin, 8; nil in a VLEK.
  package let chipIdentifier: [UInt8]?
  /// Name of the provider in a VLEK; nil in a VCEK.
  package let provider: String?

  private static let arc = "1.3.6.1.4.1.3704.1."
  private static let known: Set<String> = [
    "1", "2", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4", "5",
  ]

  /// - Throws: `CERT-EXTENSION` for an extension that is missing, repeated, unknown or out of
  ///   range; `REPORT-PRODUCT` for an unknown product.
  package init(_ certificate: X509Certificate) throws(MigrationError) {
    if let repeated = certificate.repeatedExtension {
      throw Self.wrong("extension occurs twice", repeated)
    }
    for item in certificate.extensions {
      let isAMD = item.identifier.hasPrefix(Self.arc)
      guard isAMD ? Self.known.contains(Self.last(item)) : !item.isCritical else {
        throw Self.wrong("extension is not known", item.identifier)
      }
    }
    _ = try Self.level("1", in: certificate)
    productName = try Self.text("2", in: certificate)
    guard let product = Product(productName: productName) else {
      throw MigrationError(
        .reportProduct, "certificate names a product that is not known", in: .certificate,
        got: "\"\(productName)\"")
    }
    self.product = product
    let components = try TCBVersion.Components(of: product) { (level) throws(MigrationError) in
      try Self.level(level.arc, in: certificate)
    }
    tcb = TCBVersion(components, for: product)
    let others = TCBVersion.Level.allCases.filter { components[$0] == nil }.map(\.arc)
    for other in ["3.4", "3.5", "3.6", "3.7"] + others where certificate[Self.arc + other] != nil {
      guard try Self.level(other, in: certificate) == 0 else {
        throw Self.wrong(
          "a level that \(product.rawValue) does not have is not zero", Self.arc + other)
      }
    }
    chipIdentifier = try certificate[Self.arc + "4"].map { (item) throws(MigrationError) in
      try Self.chipIdentifier(item, product)
    }
    provider =
      certificate[Self.arc + "5"] == nil ? nil : try Self.text("5", in: certificate)
  }

  private static func last(_ item: X509Extension) -> String {
    String(item.identifier.dropFirst(arc.count))
  }

  private static func wrong(_ what: String, _ identifier: String) -> MigrationError {
    MigrationError(
      .certificateExtension, what, in: .certificate, got: "extension \(identifier)")
  }

  private static func value(
    _ last: String, in certificate: X509Certificate
  ) throws(MigrationError) -> DERValue {
    guard let item = certificate[arc + last] else {
      throw MigrationError(
        .certificateExtension, "extension is missing", in: .certificate,
        expected: "extension \(arc + last)")
    }
    do throws(MigrationError) {
      return try DERValue(item.value)
    } catch {
      throw wrong("extension is not well-formed", item.identifier)
    }
  }

  /// A level: an INTEGER of 0 to 255.
  private static func level(
    _ last: String, in certificate: X509Certificate
  ) throws(MigrationError) -> UInt8 {
    guard let number = try value(last, in: certificate).smallInteger,
      let level = UInt8(exactly: number)
    else { throw wrong("level is not an integer of 0 to 255", arc + last) }
    return level
  }

  /// A text: an IA5String of printable characters.
  private static func text(
    _ last: String, in certificate: X509Certificate
  ) throws(MigrationError) -> String {
    let value = try value(last, in: certificate)
    guard value.tag == 0x16, value.content.allSatisfy({ (0x20...0x7E).contains($0) }) else {
      throw wrong("extension is not an IA5String", arc + last)
    }
    return String(decoding: value.content, as: UTF8.self)
  }

  /// hwID: AMD puts its bytes directly into the extension; an OCTET STRING around them is accepted
  /// too. The length distinguishes the two forms.
  private static func chipIdentifier(
    _ item: X509Extension, _ product: Product
  ) throws(MigrationError) -> [UInt8] {
    let size = product.chipIdentifierSize
    if item.value.count == size { return item.value }
    guard item.value.count == size + 2, item.value.starts(with: [0x04, UInt8(size)]) else {
      throw wrong("chip identifier has the wrong length", item.identifier)
    }
    return Array(item.value.dropFirst(2))
  }
}

extension TCBVersion.Level {
  /// The last numbers of the identifier of its extension.
  fileprivate var arc: String {
    switch self {
    case .bootLoader: "3.1"
    case .tee: "3.2"
    case .snp: "3.3"
    case .microcode: "3.8"
    case .fmc: "3.9"
    }
  }
}
