"""The way out: the gate, then ranking by independent support, then grounded answers."""
