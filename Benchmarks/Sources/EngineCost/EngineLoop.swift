/// The loops that go through the engine: submit to complete, on the null fabric. Each becomes a row of the table.
let engineLoops: [Loop] = []
