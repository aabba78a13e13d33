"""Video recognition: a consumer of frames and of a scene's stored flow, masks and depth."""
