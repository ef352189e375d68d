import ArgumentParser
import Tools

ToolEntry.main(AttestCommand.self)
