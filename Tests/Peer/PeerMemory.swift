import Cuda
import Memory

/// The peer's buffer: memory of the host between guard pages, or of a GPU.
enum PeerMemory: ~Copyable {
  case host(GuardedBuffer)
  case gpu(CUDABuffer)
  case shareable(HostBuffer)

  init(_ options: PeerOptions) throws {
    if let ordinal = options.gpu {
      self = .gpu(try CUDABuffer(CUDADriver.load().context(of: ordinal), length: options.bufferLength))
    } else if options.isShareable {
      let buffer = try HostBuffer(length: options.bufferLength, isShareable: true)
      guard buffer.isShareable else { throw PeerError("no memory that can be shared") }
      self = .shareable(buffer)
    } else {
      self = .host(try GuardedBuffer(length: options.bufferLength, at: options.address))
    }
  }

  var address: UInt {
    switch self {
    case .host(let buffer): UInt(bitPattern: buffer.baseAddress)
    case .gpu(let buffer): buffer.address
    case .shareable(let buffer): UInt(bitPattern: buffer.baseAddress)
    }
  }

  var length: Int {
    switch self {
    case .host(let buffer): buffer.length
    case .gpu(let buffer): buffer.length
    case .shareable(let buffer): buffer.length
    }
  }

  /// Writes the pattern to a range that is inside.
  func fill(_ offset: Int, _ count: Int, seed: UInt64, place: UInt64) throws {
    switch self {
    case .host(let buffer):
      let range = UnsafeMutableRawBufferPointer(start: buffer.baseAddress + offset, count: count)
      PatternFill.fill(range, seed: seed, offset: place)
    case .gpu(let buffer):
      let bytes = try HostBuffer(length: max(1, count))
      let range = UnsafeMutableRawBufferPointer(start: bytes.baseAddress, count: count)
      PatternFill.fill(range, seed: seed, offset: place)
      try buffer.write(UnsafeRawBufferPointer(range), at: offset)
    case .shareable(let buffer):
      let range = UnsafeMutableRawBufferPointer(start: buffer.baseAddress + offset, count: count)
      PatternFill.fill(range, seed: seed, offset: place)
    }
  }

  /// Where a range that is inside differs from the pattern.
  func firstMismatch(_ offset: Int, _ count: Int, seed: UInt64, place: UInt64) throws -> Int? {
    switch self {
    case .host(let buffer):
      let range = UnsafeRawBufferPointer(start: buffer.baseAddress + offset, count: count)
      return PatternFill.firstMismatch(range, seed: seed, offset: place)
    case .gpu(let buffer):
      let bytes = try HostBuffer(length: max(1, count))
      let range = UnsafeMutableRawBufferPointer(start: bytes.baseAddress, count: count)
      try buffer.read(into: range, at: offset)
      return PatternFill.firstMismatch(UnsafeRawBufferPointer(range), seed: seed, offset: place)
    case .shareable(let buffer):
      let range = UnsafeRawBufferPointer(start: buffer.baseAddress + offset, count: count)
      return PatternFill.firstMismatch(range, seed: seed, offset: place)
    }
  }
}
