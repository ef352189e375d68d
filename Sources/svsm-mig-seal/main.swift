import ArgumentParser
import Tools

ToolEntry.main(SealCommand.self)
