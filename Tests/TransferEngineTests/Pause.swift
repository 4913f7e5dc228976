import Glibc

/// Leaves the core to others between two looks at something.
func pause() { usleep(1000) }
