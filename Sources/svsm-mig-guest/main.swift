import ArgumentParser
import Tools

ToolEntry.main(GuestCommand.self)
