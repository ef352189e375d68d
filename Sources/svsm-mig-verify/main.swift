import ArgumentParser
import Tools

ToolEntry.main(VerifyCommand.self)
