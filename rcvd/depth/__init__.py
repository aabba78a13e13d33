"""Depth priors: one protocol, one table; frames in, z out."""
