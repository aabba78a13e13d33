"""Which pixels move in the world."""
