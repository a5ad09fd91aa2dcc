"""Each script under scripts/ is a test: see `script`."""

from pathlib import Path

import pytest

from tests.cli.script import Script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Script(path.read_text(encoding="utf-8"), tmp_path, monkeypatch).run()
