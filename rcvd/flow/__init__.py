"""Dense flow between frame pairs: which pairs, which model, what may be trusted."""
