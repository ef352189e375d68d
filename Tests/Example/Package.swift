// swift-tools-version: 6.2
import PackageDescription

// A package of somebody else, who uses this one as a library. `Tests/run` builds it and runs its programs.
let package = Package(
  name: "example",
  dependencies: [.package(name: "svsm-migration", path: "../..")],
  targets: [
    .executableTarget(
      name: "ReadStream",
      dependencies: [.product(name: "QEMUMigrationStream", package: "svsm-migration")]),
    .executableTarget(
      name: "MigrateGuest",
      dependencies: [.product(name: "SNPMigration", package: "svsm-migration")]),
    .executableTarget(
      name: "VerifyReport",
      dependencies: [.product(name: "SVSMMigration", package: "svsm-migration")]),
  ]
)
