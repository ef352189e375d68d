package import Errors

/// The code `body` is refused with; nil when it is not refused. An error of another type is one
/// of the test itself and shows as `.internal`: it is never taken for success.
package func refusalCode(_ body: () throws -> Void) -> ErrorCode? {
  do {
    try body()
    return nil
  } catch {
    return (error as? MigrationError)?.code ?? .internal
  }
}
