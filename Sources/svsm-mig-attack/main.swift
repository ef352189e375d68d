import ArgumentParser
import Tools

ToolEntry.main(AttackCommand.self)
