"""Measurements: `make bench`. Ratios are taken in one run, since machines differ."""
