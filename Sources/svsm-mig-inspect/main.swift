import ArgumentParser
import Tools

ToolEntry.main(InspectCommand.self)
