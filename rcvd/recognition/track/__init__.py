"""Following things through a clip: SiamFC, identities of instances, tracks in the world."""
