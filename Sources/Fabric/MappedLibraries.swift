internal import CFabric

/// The shared libraries that this process has mapped.
enum MappedLibraries {
  /// Files whose name begins with `libfabric`, in mapping order, each once.
  ///
  /// NCCL's network plugin brings its own libfabric, sometimes under a file name of its own, and a second copy would
  /// take the device from it: so the first copy that is mapped is the one to use.
  static func libfabric() -> [String] {
    var found: [String] = []
    withUnsafeMutablePointer(to: &found) { found in
      cfabric_each_mapped(
        { path, context in
          guard let path, let list = context?.assumingMemoryBound(to: [String].self) else { return }
          let text = String(cString: path)
          let file = text.split(separator: "/").last ?? ""
          if file.hasPrefix("libfabric"), !list.pointee.contains(text) { list.pointee.append(text) }
        }, found)
    }
    return found
  }
}
