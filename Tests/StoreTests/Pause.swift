import Glibc

/// Leaves the core to others for a moment, between looks at something that happens elsewhere.
func pause() { usleep(10_000) }
