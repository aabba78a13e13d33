"""Camera geometry: tensors in, tensors out; no files, no settings."""
