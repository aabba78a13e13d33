"""Reconstruction: cameras and depth from flow and a depth prior."""
