"""Tools that we did not write, on bytes that we did: `make interop`."""
