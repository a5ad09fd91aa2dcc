"""What a store publishes: static files that a reader and a witness can follow with nothing else of the store.

    checkpoint, tile/...          the log, as c2sp.org/tlog-tiles lays it out
    state/, standing/, vectors/   what stands in its newest snapshot: see `shards`
    keys/                         the public trust root

`writer` makes the folder from a ledger, `store` shows it to the gate as the ledger shows itself. Nothing in it is
believed for being there.
"""
