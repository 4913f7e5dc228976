internal import ArgumentParser
internal import EngineLog
internal import Logging
internal import Testing

@testable import MoonrailCommand

@Suite("The demo checks its arguments and its data")
struct DemoTests {
  @Test("As many rounds as hold what was asked for", arguments: [(4.0, 15), (0.001, 1), (0.268435456, 1), (0.27, 2)])
  func rounds(gigabytes: Double, rounds: Int) throws {
    let plan = try DemoCommand.parse(["--gigabytes=\(gigabytes)"]).plan()
    #expect(plan.rounds == rounds)
    #expect(Double(plan.bytes) >= gigabytes * 1e9)
  }

  @Test("Amounts and times without a meaning are refused", arguments: ["0", "-1", "nan", "inf", "1e30"])
  func refused(gigabytes: String) throws {
    let command = try DemoCommand.parse(["--gigabytes=\(gigabytes)"])
    #expect(throws: CommandFailure.self) { try command.plan() }
    let slow = try DemoCommand.parse(["--timeout=\(gigabytes == "0" ? "0" : "-5")"])
    #expect(throws: CommandFailure.self) { try slow.plan() }
  }

  @Test("The validator finds one wrong byte anywhere")
  func oneWrongByte() {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 8)
    defer { memory.deallocate() }
    memory.initializeMemory(as: UInt8.self, repeating: 7)
    #expect(ValidateCommand.firstDifference(memory, from: 7) == nil)
    #expect(ValidateCommand.firstDifference(memory, from: 8) == 0)
    for index in [0, 1, 50, 99] {
      memory[index] = 9
      #expect(ValidateCommand.firstDifference(memory, from: 7) == index)
      memory[index] = 7
    }
    #expect(ValidateCommand.firstDifference(UnsafeMutableRawBufferPointer(start: nil, count: 0), from: 7) == nil)
  }

  @Test("MC_LOG_LEVEL names the level, INFO where it names none")
  func logLevel() {
    #expect(StandardErrorLog.level(named: "TRACE") == .trace)
    #expect(StandardErrorLog.level(named: "WARNING") == .warning)
    #expect(StandardErrorLog.level(named: "ERROR") == .error)
    #expect(StandardErrorLog.level(named: "loud") == .info)
    #expect(StandardErrorLog.level(named: nil) == .info)
  }
}
