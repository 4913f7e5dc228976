internal import ArgumentParser
internal import TransferEngine

/// The flags that `bench` and `validate` share, in upstream's names and with upstream's defaults where they can hold.
struct RunOptions: ParsableArguments {
  @Option(help: "initiator, or target: registers memory, prints 'listening on' and stays.")
  var mode = "initiator"

  @Option(
    name: .customLong("protocol"),
    help: "efa: AWS EFA, or the libfabric provider that --provider names. tcp: plain TCP.")
  var transport = "efa"

  @Option(help: "libfabric's provider: efa, 'tcp;ofi_rxm', shm, sockets. Default: MOONRAIL_PROVIDER, or else efa.")
  var provider: String?

  @Option(
    help: """
      Where segments are found: P2PHANDSHAKE (at their owners), http://host:port/path, etcd://host:port[,host:port...] \
      or redis://host:port.
      """)
  var metadataServer = "P2PHANDSHAKE"

  @Option(help: "The name or address under which peers reach this host.")
  var localServerName = localHostName()

  @Option(help: "The target, as it printed it: host:port, or its name in the metadata store.")
  var segmentId = ""

  @Option(help: "Use these NICs only, comma separated. Default: all.")
  var deviceName = ""

  @Option(help: "A file with the topology JSON to use in place of what is discovered.")
  var nicPriorityMatrix = ""

  @Option(help: "Bytes of each buffer; there is one for each NUMA node.")
  var bufferSize = 1_073_741_824

  @Option(help: "Requests in a batch.")
  var batchSize = 128

  @Option(help: "Bytes of a request.")
  var blockSize = 65536

  @Option(help: "Seconds.")
  var duration = 10

  @Option(help: "Threads, each with one batch at a time.")
  var threads = 12

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast, help: "Accepted and without effect: NICs are always discovered.")
  var autoDiscovery = false

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: "Requests in an order in which none follows another in memory, so that each is an operation of its own.")
  var scatter = false

  @Option(help: "The unit of throughput: \(ReportUnit.allCases.map(\.rawValue).joined(separator: ", ")).")
  var reportUnit = "GB"

  @Option(help: "Digits after the point of the throughput.")
  var reportPrecision = 2

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "GPU memory, which this build does not have.")
  var useVram = false

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "Fill the buffers with 0xCC first.")
  var initMem = true

  @Option(parsing: .unconditional, help: "Accepted for compatibility; only --use_vram gives it a meaning.")
  var gpuId = 0

  @Option(help: "Seconds after which a batch that is not complete is an error.")
  var timeout = 60

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "The result as one JSON object on standard output.")
  var json = false

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: .hidden)
  var exitWithStdin = false

  @OptionGroup var neighbours: SameHostOptions

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: "With --same-host, on the target: memory that the initiator can map, as that of the engine's own buffers.")
  var sharedMemory = false

  @Flag(
    inversion: .prefixedNo, exclusivity: .chooseLast,
    help: """
      Ask the kernel for huge pages, as the engine's own buffers do. --no-huge-pages: memory as a plain program has it.
      """)
  var hugePages = true

  /// What the buffers' memory is to be like.
  var memoryKind: MemoryKind { MemoryKind(isShareable: sharedMemory, hasHugePages: hugePages) }

  /// Checks what the parser cannot and gives the values their types.
  func checked() throws(CommandFailure) -> RunParameters {
    guard let mode = RunParameters.Mode(rawValue: mode) else {
      throw CommandFailure("Unsupported mode: must be 'initiator' or 'target'")
    }
    _ = try TransportChoice(protocol: transport, provider: provider)
    guard let unit = ReportUnit(rawValue: reportUnit) else {
      let units = ReportUnit.allCases.map(\.rawValue).joined(separator: ", ")
      throw CommandFailure("error: --report_unit=\(reportUnit): must be one of \(units)")
    }
    if useVram {
      throw CommandFailure("error: --use_vram: this build moves host memory only. Leave the flag out.")
    }
    let positive = [
      ("buffer_size", bufferSize), ("batch_size", batchSize), ("block_size", blockSize), ("duration", duration),
      ("threads", threads), ("timeout", timeout),
    ]
    for (name, value) in positive where value < 1 {
      throw CommandFailure("error: --\(name)=\(value): must be at least 1")
    }
    guard threads <= 4096 else { throw CommandFailure("error: --threads=\(threads): must be at most 4096") }
    guard (0...17).contains(reportPrecision) else {
      throw CommandFailure("error: --report_precision=\(reportPrecision): must be 0 to 17")
    }
    let (row, tooWide) = blockSize.multipliedReportingOverflow(by: threads)
    let (required, tooLarge) = row.multipliedReportingOverflow(by: batchSize)
    guard !tooWide, !tooLarge else {
      throw CommandFailure("error: block_size x batch_size x threads is more than memory can be addressed with")
    }
    if mode == .initiator && segmentId.isEmpty {
      throw CommandFailure("error: --segment_id is missing: the host:port that the target printed as 'listening on'")
    }
    return RunParameters(
      mode: mode, segment: segmentId, bufferSize: max(bufferSize, required), requiredSize: required,
      batchSize: batchSize, blockSize: blockSize, seconds: duration, threads: threads,
      isScattered: scatter, unit: unit,
      precision: reportPrecision, timeout: .seconds(timeout), fillsMemory: initMem, json: json,
      warnings: bufferSize < required
        ? ["Invalid flag: buffer size is smaller than require_size, adjust to \(required)"] : [])
  }

  /// The engine's configuration.
  func configuration() throws(CommandFailure) -> Configuration {
    let choice = try TransportChoice(protocol: transport, provider: provider)
    var configuration = Configuration(
      localServerName: localServerName, metadataServer: metadataServer, transports: [choice.transport],
      provider: choice.provider, deviceFilter: deviceName)
    if !nicPriorityMatrix.isEmpty { configuration.environment["MC_CUSTOM_TOPO_JSON"] = nicPriorityMatrix }
    return neighbours.applied(to: configuration)
  }
}
