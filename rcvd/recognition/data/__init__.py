"""From videos to batches: which frames, which changes, in which order, read from where."""
