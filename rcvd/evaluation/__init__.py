"""Errors against ground truth by named protocols, data set readers, comparisons."""
