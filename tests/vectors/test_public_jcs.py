"""RFC 8785 by the vectors of its author, where they are there."""

import json

import pytest

from tests.shared import shared_path
from trustrag.errors import MalformedError
from trustrag.provenance import canonical

if JCS := shared_path("vectors", "jcs", "testdata"):

    def test_canonical_form() -> None:
        """As metadata, which may hold the floats that some of these files have; one file is an array."""
        names = sorted(path.name for path in (JCS / "input").iterdir())
        for name in names:
            output = (JCS / "output" / name).read_bytes().strip()
            assert output == bytes.fromhex((JCS / "outhex" / name).with_suffix(".txt").read_text())
            wrapped = canonical.encode_metadata({"v": json.loads((JCS / "input" / name).read_text("utf-8"))})
            assert wrapped == b'{"v":%b}' % output
            assert canonical.encode_metadata(canonical.parse_metadata(wrapped)) == wrapped
        assert len(names) == 6

    @pytest.mark.parametrize("name", ["arrays.json", "french.json", "unicode.json", "weird.json"])
    def test_what_has_no_floats_may_be_signed(name: str) -> None:
        value = canonical.parse((JCS / "input" / name).read_bytes())
        output = (JCS / "output" / name).read_bytes().strip()
        assert canonical.encode(value) == output
        assert canonical.parse_canonical(output) == value

    @pytest.mark.parametrize("name", ["structures.json", "values.json"])
    def test_what_has_floats_may_not(name: str) -> None:
        with pytest.raises(MalformedError, match="float"):
            canonical.parse((JCS / "input" / name).read_bytes())
