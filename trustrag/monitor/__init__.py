"""Watching over a store. `audit` verifies everything again; metrics, drift and impact have their room here."""
