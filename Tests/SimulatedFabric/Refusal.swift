import CFabric

private let refuse: @convention(c) () -> Int = { Int(-FI_ENOSYS) }

/// A function for an entry of an op table that has no implementation: whatever its arguments, it answers -FI_ENOSYS.
/// (Under the C calling conventions of x86-64 and AArch64 the caller removes the arguments, and an `int` is the low
/// half of the register that holds an `ssize_t`.) Not for entries that return a pointer.
func refusal<Function>(_ type: Function.Type = Function.self) -> Function {
  unsafeBitCast(refuse, to: Function.self)
}

/// An op table, which lives for ever; `fill` sets the entries that do something.
func makeTable<Table>(_ table: Table, _ fill: (inout Table) -> Void) -> UnsafeMutablePointer<Table> {
  let place = UnsafeMutablePointer<Table>.allocate(capacity: 1)
  place.initialize(to: table)
  fill(&place.pointee)
  return place
}

/// The table that every `fid` has.
func makeCommonTable(_ fill: (inout fi_ops) -> Void) -> UnsafeMutablePointer<fi_ops> {
  makeTable(
    fi_ops(
      size: MemoryLayout<fi_ops>.size, close: refusal(), bind: refusal(), control: refusal(), ops_open: refusal(),
      tostr: refusal(), ops_set: refusal()), fill)
}
