"""Inputs made of motion: stacks of flow, and a world of clips whose label is a motion."""
