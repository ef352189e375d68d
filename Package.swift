// swift-tools-version: 6.2
import PackageDescription

/// What every target of this package is held to.
let checked: [SwiftSetting] =
  ["ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility"]
  .map { .enableUpcomingFeature($0) } + [
    .swiftLanguageMode(.v6), .strictMemorySafety(), .treatAllWarnings(as: .error),
    .enableExperimentalFeature("Lifetimes"),
  ]

/// - Parameter resources: files of the target whose bytes are compiled into it.
func library(
  _ name: String, _ dependencies: [Target.Dependency] = [], resources: [String] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, resources: resources.map { .embedInCode($0) },
    swiftSettings: checked)
}

/// A library that others can import; the tools are products by themselves.
func product(_ name: String) -> Product { .library(name: name, targets: [name]) }

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.init(stringLiteral: name)] + dependencies,
    swiftSettings: checked)
}

/// A command-line tool: one `main.swift` over a command of the module Tools.
func tool(_ name: String) -> Target {
  .executableTarget(
    name: "svsm-mig-\(name)", dependencies: ["Tools", arguments], swiftSettings: checked)
}

let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let deque = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

let package = Package(
  name: "svsm-migration",
  products: [
    product("SVSMMigration"), product("QEMUMigrationStream"), product("SNPAttestation"),
    product("SNPMigration"),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(
      name: "CLibGCrypt", pkgConfig: "libgcrypt", providers: [.apt(["libgcrypt20-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
    library("Errors"),
    library("Wire", ["Errors"]),
    library("JSON", ["Errors", "Wire"]),
    .systemLibrary(name: "CLinux"),
    library("Threads", ["CLinux", deque]),
    library("FileIO", ["Errors", "JSON", "Wire", "CLinux", "Threads", system]),
    library("PageSets", ["Errors", "Wire", "FileIO"]),
    .target(name: "CSHA256"),
    library("Cryptography", ["Errors", "JSON", "Wire", "CLibCrypto", "CLibGCrypt", "CSHA256"]),
    library(
      "QEMUStream", ["Errors", "JSON", "Wire", "PageSets", "Threads", "CLZMA", "CZlib", "CZstd"]),
    library("Compatibility", ["Errors", "JSON", "Wire", "QEMUStream"]),
    library(
      "SEVSNP", ["Errors", "JSON", "Wire", "Cryptography"],
      resources: ["milan", "genoa", "turin"].map { "Certificates/AMD/amd-\($0).pem" }
        + [
          "ark", "ask", "asvk", "chip-0", "chip-0-published-key", "chip-1", "chip-1-published-key",
        ].map { "Platform/Model/model-\($0).pem" }),
    library("Guest", ["Errors", "JSON", "Wire", "Cryptography", "FileIO", "SEVSNP"]),
    library("SVSM", ["Errors", "JSON", "Wire", "Cryptography", "PageSets", "SEVSNP"]),
    library(
      "Migration",
      [
        "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "PageSets", "QEMUStream",
        "SEVSNP", "SVSM", "Threads", deque,
      ]),
    library("QEMUMigrationStream", ["Errors", "QEMUStream", "Wire"]),
    library("SNPAttestation", ["Cryptography", "Errors", "SEVSNP", "Wire"]),
    library(
      "SNPMigration",
      [
        "Cryptography", "Errors", "Guest", "Migration", "QEMUStream", "SEVSNP", "SVSM", "Threads",
        "Wire",
      ]),
    library("SVSMMigration", ["Errors", "QEMUMigrationStream", "SNPAttestation", "SNPMigration"]),
    library(
      "Attacks",
      [
        "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "Migration", "PageSets",
        "QEMUStream", "SEVSNP", "SVSM", "Threads",
      ]),
    library(
      "Import",
      [
        "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "Migration", "PageSets",
        "QEMUStream", "SEVSNP", "SVSM", "Threads",
      ]),
    library(
      "Instances",
      [
        "Errors", "Wire", "FileIO", "Guest", "Import", "Migration", "QEMUStream", "SVSM", "Threads",
      ]),
    library(
      "Inspection",
      [
        "Errors", "JSON", "Wire", "Cryptography", "Guest", "Import", "Migration", "PageSets",
        "QEMUStream", "SEVSNP", "SVSM",
      ]),
    library(
      "Comparison",
      [
        "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "Import", "Inspection",
        "Migration", "QEMUStream", "SEVSNP", "SVSM", "Threads",
      ]),
    library(
      "Trials",
      [
        "Attacks", "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Import", "Instances",
        "Migration", "QEMUStream", "SEVSNP", "SVSM", "Threads",
      ]),
    library(
      "Tools",
      [
        "Attacks", "Comparison", "Compatibility", "Errors", "JSON", "Wire", "Cryptography",
        "FileIO", "Guest", "Import", "Inspection", "Instances", "Migration", "QEMUStream",
        "SEVSNP", "SVSM", "Threads", "Trials", arguments,
      ]),
    tool("prepare"), tool("save"), tool("load"), tool("inspect"), tool("verify"), tool("attest"),
    tool("guest"), tool("seal"), tool("attack"), tool("diff"),
    .target(
      name: "TestSupport", dependencies: ["Errors", "JSON", "Wire"], path: "Tests/TestSupport",
      swiftSettings: checked),
    .target(
      name: "MigrationSupport",
      dependencies: [
        "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "Migration", "QEMUStream",
        "SEVSNP", "SVSM",
        "Threads",
      ], path: "Tests/MigrationSupport", swiftSettings: checked),
    tests("Wire", ["Errors"]),
    tests("JSON", ["Errors"]),
    tests("Threads"),
    tests("FileIO", ["Errors", "JSON", "Wire", "TestSupport"]),
    tests("Cryptography", ["Errors", "JSON", "Wire", "TestSupport"]),
    tests("PageSets", ["Errors"]),
    tests("QEMUStream", ["Errors", "JSON", "Wire", "TestSupport", "Threads"]),
    tests("SEVSNP", ["Errors", "JSON", "Wire", "Cryptography", "TestSupport"]),
    tests("Compatibility", ["Errors", "QEMUStream", "TestSupport"]),
    tests(
      "Attacks",
      [
        "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "Migration",
        "MigrationSupport", "QEMUStream",
        "SEVSNP", "SVSM", "TestSupport", "Threads",
      ]),
    tests(
      "Migration",
      [
        "Attacks", "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "MigrationSupport",
        "QEMUStream",
        "SEVSNP",
        "SVSM", "TestSupport",
      ]),
    .testTarget(
      name: "FormatsTests",
      dependencies: [
        "Attacks", "Compatibility", "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest",
        "Migration",
        "MigrationSupport",
        "QEMUStream",
        "SEVSNP", "SVSM", "TestSupport",
      ], swiftSettings: checked),
    tests("Guest", ["Errors", "JSON", "Wire", "Cryptography", "FileIO", "SEVSNP", "TestSupport"]),
    tests("Import", ["Errors", "FileIO", "QEMUStream", "SEVSNP", "TestSupport"]),
    tests(
      "Instances",
      ["Errors", "FileIO", "Import", "Migration", "SEVSNP", "SVSM", "TestSupport", "Threads"]),
    tests(
      "Inspection",
      [
        "Errors", "FileIO", "Guest", "Import", "JSON", "Migration", "MigrationSupport",
        "QEMUStream", "SEVSNP", "SVSM", "TestSupport", "Threads",
      ]),
    tests("Comparison", ["JSON", "Guest", "Inspection", "SEVSNP", "SVSM"]),
    tests("Trials", ["Attacks", "TestSupport", "Threads"]),
    tests(
      "Tools",
      [
        "Attacks", "Errors", "JSON", "Wire", "Cryptography", "FileIO", "Guest", "Import",
        "Inspection", "Instances", "Migration", "MigrationSupport", "QEMUStream", "SEVSNP", "SVSM",
        "TestSupport",
        "svsm-mig-prepare", "svsm-mig-save", "svsm-mig-load", "svsm-mig-inspect",
        "svsm-mig-verify", "svsm-mig-attest", "svsm-mig-guest", "svsm-mig-seal",
        "svsm-mig-attack", "svsm-mig-diff",
      ]),
  ]
)
