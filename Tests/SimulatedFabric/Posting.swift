import CFabric
import Glibc

/// The byte that fills the space lent with a context while its operation is in flight.
private let contextFill: UInt8 = 0xC7
private let contextSize = MemoryLayout<fi_context2>.size

extension SimulatedEndpoint {
  /// Accepts an operation or says why not.
  func post(_ request: TransferRequest, _ state: inout Network.State) -> Int {
    guard isEnabled, let queue, let vector else { return -Int(FI_EOPBADSTATE) }
    guard inFlight < depth else {
      state.violate("credits exceeded: \(depth) operations are in flight on endpoint \(number) (\(home.name))")
      return refused(&state)
    }
    guard let target = vector.address(request.destination) else { return Int(-FI_EINVAL) }
    guard request.segments.count <= TransferRequest.segmentLimit else { return Int(-FI_EINVAL) }
    guard request.count <= (request.isInjected ? network.options.injectSize : maximumSize) else {
      return Int(-FI_EMSGSIZE)
    }
    guard let regions = localRegions(request, &state) else { return Int(-FI_EINVAL) }
    var transfer = Transfer(
      request: request, target: target,
      wantsCompletion: !request.isInjected && (completesAll || request.isSignaled), readyAt: 0, regions: regions)
    guard decide(&transfer, &state) else { return refused(&state) }

    let delay = state.faults.completionDelay
    transfer.readyAt = queue.polls + 1 + (delay.upperBound == 0 ? 0 : .random(in: delay, using: &generator))
    for region in regions { region.operations += 1 }
    if request.isInjected { transfer.copy = copyInjected(request) }
    if network.options.contextSpace, let context = request.context { memset(context, Int32(contextFill), contextSize) }
    vector.operationPosted(to: request.destination)
    transfers.append(transfer)
    occupy(1, &state)
    let now = inFlight
    count(&state) {
      $0.posts += 1
      $0.maximumInFlight = max($0.maximumInFlight, now)
    }
    return 0
  }

  /// Whether the space lent with a context is as it was left.
  func contextIsIntact(_ transfer: Transfer) -> Bool {
    guard network.options.contextSpace, let context = transfer.request.context else { return true }
    return UnsafeRawBufferPointer(start: context, count: contextSize).allSatisfy { $0 == contextFill }
  }

  private func refused(_ state: inout Network.State) -> Int {
    count(&state) { $0.refusals += 1 }
    return Int(-FI_EAGAIN)
  }

  /// The regions of the local buffers; nil if they are not registered and have to be.
  private func localRegions(_ request: TransferRequest, _ state: inout Network.State) -> [SimulatedRegion]? {
    guard !request.isInjected, request.count > 0 else { return [] }
    let isRequired = home.registrationMode & FI_MR_LOCAL != 0
    var regions: [SimulatedRegion] = []
    for (index, segment) in request.segments.enumerated() {
      guard index < request.descriptors.count, let descriptor = request.descriptors[index] else {
        guard isRequired else { continue }
        state.violate("no descriptor for a local buffer on \(home.name)")
        return nil
      }
      guard let region = Handle.object(behind: descriptor) as? SimulatedRegion, region.domain === home,
        region.covers(segment, access: request.localAccess)
      else {
        state.violate("a descriptor that does not cover the local buffer on \(home.name)")
        return nil
      }
      regions.append(region)
    }
    return regions
  }

  /// Applies the faults to a new operation; says whether it is accepted.
  private func decide(_ transfer: inout Transfer, _ state: inout Network.State) -> Bool {
    for index in state.faults.rules.indices {
      let rule = state.faults.rules[index]
      guard rule.remaining != 0, applies(rule, to: transfer, state),
        rule.probability >= 1 || Double.random(in: 0..<1, using: &generator) < rule.probability
      else { continue }
      // Those look at operations in flight, later.
      if rule.isStanding, rule.effect != .refuse, rule.effect != .lose { return true }
      state.faults.rules[index].remaining = rule.remaining.map { $0 - 1 }
      switch rule.effect {
      case .refuse: return false
      case .fail(let error, let providerError):
        transfer.fate = .failure(CompletionError(error: error, providerError: providerError))
      case .lose: transfer.fate = .lost
      case .hold: transfer.heldIn = state.faults.period
      }
      return true
    }
    return true
  }

  /// Whether an operation of this endpoint is in the scope of a fault.
  func applies(_ rule: Fault, to transfer: Transfer, _ state: Network.State) -> Bool {
    switch rule.scope {
    case .everything: true
    case .nic(let nic): home.nic == nic
    case .endpoint(let endpoint): number == endpoint
    case .destination(let destination): state.endpoints[transfer.target]?.number == destination
    }
  }

  private func copyInjected(_ request: TransferRequest) -> UnsafeMutableRawPointer? {
    guard request.count > 0, let source = request.segments.first?.start else { return nil }
    return malloc(request.count).map { memcpy($0, source, request.count) }
  }
}
