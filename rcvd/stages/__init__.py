"""The steps of a run: the only modules that read settings and touch the run folder."""
