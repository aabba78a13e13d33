"""Video by diffusion: one network for generation, prediction and interpolation."""
