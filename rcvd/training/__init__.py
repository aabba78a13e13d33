"""Training of the bundled networks on exact random scenes."""
