"""Dense trajectories and what is measured along them: hand-made descriptors and deep ones."""
