internal import CTransferEngine
internal import DropIn
internal import Logging
internal import Synchronization
internal import TransferEngine

/// `createTransferEngine` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func createTransferEngine(
  _ metadata: UnsafePointer<CChar>?, _ name: UnsafePointer<CChar>?, _ host: UnsafePointer<CChar>?, _ port: UInt64,
  _ autoDiscover: Int32
) -> UnsafeMutableRawPointer? {
  do throws(TransferError) {
    var configuration = Configuration(
      localServerName: try Calls.text(name, "local_server_name"),
      metadataServer: try Calls.text(metadata, "metadata_conn_string"), transports: [])
    if autoDiscover != 0 { configuration.transports = ProtocolChoice(discoveredFor: configuration).transports }
    let cell = try EngineCell(configuration)
    guard let handle = HandleTable.shared.insert(cell) else {
      cell.shutdown()
      throw TransferError(.tooManyRequests, "\(HandleTable.capacity) engines are in use. Destroy those that are not.")
    }
    return handle
  } catch {
    Calls.logger.error("createTransferEngine: \(error)")
    return nil
  }
}

/// `destroyTransferEngine` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func destroyTransferEngine(_ engine: UnsafeMutableRawPointer?) { HandleTable.shared.remove(engine) }

/// `discoverTopology` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func discoverTopology(_ engine: UnsafeMutableRawPointer?) -> Int32 {
  Calls.code(engine, "discoverTopology") { cell throws(TransferError) in
    try cell.with { engine throws(TransferError) in _ = try engine.engine }
    return 0
  }
}

/// `getLocalIpAndPort` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func getLocalIpAndPort(
  _ engine: UnsafeMutableRawPointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ length: Int
) -> Int32 {
  Calls.code(engine, "getLocalIpAndPort") { cell throws(TransferError) in
    let address = try cell.with { engine throws(TransferError) in try engine.engine.rpcAddress }
    try Calls.write(address, to: buffer, length)
    return 0
  }
}

/// `installTransport` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func installTransport(
  _ engine: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?,
  _ arguments: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> UnsafeMutableRawPointer? {
  Calls.result(engine, "installTransport") { cell throws(TransferError) in
    let name = try Calls.text(name, "proto")
    var matrix: String?
    if let first = arguments?.pointee {
      matrix = try Calls.text(first.assumingMemoryBound(to: CChar.self), "args[0]")
    }
    try cell.install(name, matrix: matrix)
    // A number like the engine's, of no use but to be compared.
    return UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: engine) | (name == "tcp" ? 1 : 2) << 62)
  } otherwise: { _ in
    nil
  }
}

/// `uninstallTransport` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func uninstallTransport(_ engine: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) -> Int32 {
  Calls.code(engine, "uninstallTransport") { cell throws(TransferError) in
    let name = try Calls.text(name, "proto")
    guard cell.isInstalled.load(ordering: .acquiring), try cell.isServed(name) else {
      throw TransferError(.transportNotSupported, "'\(name)' is not installed.")
    }
    return 0
  }
}

/// `enableGracefulShutdown` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func enableGracefulShutdown(_ engine: UnsafeMutableRawPointer?) {
  _ = Calls.code(engine, "enableGracefulShutdown") { cell throws(TransferError) in
    try GracefulShutdown.enable()
    cell.stopsOnSignals.store(true, ordering: .releasing)
    return 0
  }
}
