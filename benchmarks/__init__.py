"""Benchmarks, started by hand: `make bench`."""
