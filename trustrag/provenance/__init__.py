"""The trusted core: what a proof is, and who may say what.

Standard library, PyNaCl and rfc8785 only. Nothing here reads a file, a clock or a network, and nothing keeps
global state: bytes come in, values or refusals come out. Read it from the bottom up: `canonical`, `merkle`,
`keys`, `envelope`, `names`, `statement`, `checkpoint`, `parties`, `policy`, `standing`, `evidence`, `export`.
"""
