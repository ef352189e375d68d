import ArgumentParser
import Tools

ToolEntry.main(PrepareCommand.self)
