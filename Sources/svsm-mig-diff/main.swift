import ArgumentParser
import Tools

ToolEntry.main(DiffCommand.self)
