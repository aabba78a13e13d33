"""Tests of the adapters to other packages' models; run by `make test-models`."""
