/// Everything of this package that others can import: one import for the three libraries.
@_exported public import Errors
@_exported public import QEMUMigrationStream
@_exported public import SNPAttestation
@_exported public import SNPMigration
