import ArgumentParser
import Tools

ToolEntry.main(LoadCommand.self)
