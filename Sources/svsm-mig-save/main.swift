import ArgumentParser
import Tools

ToolEntry.main(SaveCommand.self)
