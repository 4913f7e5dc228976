import Testing

@testable import Metadata

@Suite struct RESPTests {
  @Test(
    arguments: [
      ("+OK\r\n", RESPValue.simple("OK")), ("-ERR no\r\n", .error("ERR no")), (":-7\r\n", .integer(-7)),
      ("$3\r\na\r\n\r\n", .bulk(Array("a\r\n".utf8))), ("$0\r\n\r\n", .bulk([])), ("$-1\r\n", .null),
      ("*-1\r\n", .null), ("*0\r\n", .array([])),
      ("*2\r\n$1\r\na\r\n*1\r\n:1\r\n", .array([.bulk([97]), .array([.integer(1)])])),
    ]) func readsWhateverTheCut(text: String, expected: RESPValue) throws
  {
    let bytes = Array((text + "+next\r\n").utf8)
    for size in 1...bytes.count {
      var decoder = RESPDecoder()
      var values: [RESPValue] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        decoder.push(bytes[start..<min(start + size, bytes.count)])
        while let value = try decoder.next() { values.append(value) }
      }
      #expect(values == [expected, .simple("next")])
    }
  }

  @Test(
    arguments: [
      "HTTP/1.1 400\r\n", "$-2\r\n", "$9999999999999999999\r\n", "$200\r\n", ":+1\r\n", ":\r\n", "*65537\r\n",
      "+a\rb\r\n", "$1\r\nabc", "$+1\r\n", String(repeating: "*1\r\n", count: 9),
      "+" + String(repeating: "x", count: RESPDecoder.maximumLine + 1),
    ]) func refuses(text: String)
  {
    var decoder = RESPDecoder(maximumLength: 100)
    decoder.push(Array(text.utf8))
    #expect(throws: RESPError.self) { _ = try decoder.next() }
  }

  @Test func writesCommandsAsArraysOfStrings() {
    let command = RESPValue.command([Array("SET".utf8), Array("k".utf8), [13, 10]])
    #expect(command == Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n".utf8))
  }
}
