// The fabric addresses of a server's NICs by device name, an extension that handshakes and descriptors share: an object of
// hexadecimal texts under the key `moonrail_nics`.

extension JSONWriter {
  mutating func addresses(_ addresses: [String: [UInt8]]) {
    key("moonrail_nics")
    object { nics in
      for (device, address) in addresses.sorted(by: { inByteOrder($0.key, $1.key) }) {
        nics.key(device)
        nics.string(Hexadecimal.encode(address))
      }
    }
  }
}

extension KeyedDecodingContainer {
  /// nil where there are none.
  func addresses(_ key: Key) throws -> [String: [UInt8]]? {
    try decodeIfPresent([String: String].self, forKey: key)?.mapValues {
      try Hexadecimal.decode($0, field: key.stringValue)
    }
  }
}
