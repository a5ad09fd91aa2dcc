"""DSSE's pre-authentication encoding by the example in its own specification, where it is there."""

import re

from tests.shared import shared_path
from trustrag.provenance import envelope

if PROTOCOL := shared_path("vectors", "dsse", "protocol.md"):

    def test_pae() -> None:
        blocks = re.findall(
            r"^([A-Z_]+):\n\n```none\n(.*?)\n```", PROTOCOL.read_text(), re.MULTILINE | re.DOTALL
        )
        example = dict(blocks)
        made = envelope.pae(example["PAYLOAD_TYPE"], example["SERIALIZED_BODY"].encode())
        assert made == example["PAE"].encode()
        assert made == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
