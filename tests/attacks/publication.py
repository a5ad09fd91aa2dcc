"""What attacks on a publication share: one made of the honest store, and a reader with a home of their own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.scene import NOW, QUESTION, Scene, at_home, told
from trustrag.errors import MalformedError, Refusal, TrustragError, VerificationError
from trustrag.reader import Reader
from trustrag.retrieval.retriever import SearchReport


@dataclass(frozen=True)
class Publication:
    """A published folder under attack. `home` is the reader's own, out of the attacker's reach."""

    scene: Scene
    folder: Path
    home: Path

    # ---- what an attacker has

    def edit(self, old: bytes, new: bytes, pattern: str = "standing/*/*") -> None:
        """Change bytes wherever they stand in these files; the files keep their length."""
        assert len(old) == len(new)
        touched = 0
        for path in self.folder.glob(pattern):
            data = path.read_bytes()
            if old in data:
                path.write_bytes(data.replace(old, new))
                touched += 1
        assert touched, "the attack touched nothing"

    def flip(self, name: str, at: int = 0) -> None:
        """Change one bit of a file."""
        path = self.folder / name
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    # ---- what the reader sees

    def search(self, question: str = QUESTION, *, now: int = NOW) -> SearchReport:
        """Ask, in a process that begins now. Nothing that comes back may differ from what the honest store says."""
        with at_home(self.home):
            report = Reader.open(self.folder, clock=lambda: now).search(question, k=10)
        altered = [told(r.passage)[:4] for r in report.passages if told(r.passage) not in self.scene.honest]
        assert not altered, f"served: {altered}"
        return report

    def refuses_passage(self, refusal: Refusal, doc_id: str, question: str = QUESTION) -> None:
        """This document's passage is reported as refused, for this reason, and the others are served."""
        report = self.search(question)
        told_of = {(found.doc_id, found.refusal) for found in report.refused}
        assert (doc_id, refusal) in told_of, f"refused: {told_of}"
        assert report.passages
        self.scene.say(refusal)

    def refuses(self, refusal: Refusal, *, now: int = NOW) -> None:
        """No question is answered at all, for this reason."""
        try:
            report = self.search(now=now)
        except (VerificationError, MalformedError) as caught:
            error = caught
        else:
            raise AssertionError(f"served: {[told(r.passage)[:4] for r in report.passages]}")
        assert error.refusal == refusal, error
        self.scene.say(refusal)

    def fails(self, kind: type[TrustragError], saying: str) -> None:
        """It ends in an error of ours that says so."""
        self.scene.fails(kind, saying, self.search)


def publication(scene: Scene, name: str = "published", folder: Path | None = None) -> Publication:
    """The store, published; the reader has looked at it once."""
    out = scene.root / name
    with scene.open(folder) as workspace:
        workspace.log.publish(out)
    made = Publication(scene, out, scene.root / "reader")
    made.search()
    return made


def again(scene: Scene, act: Callable[[], object], made: Publication) -> None:
    """The operator does something and publishes it, and the reader looks."""
    act()
    with scene.open() as workspace:
        workspace.log.publish(made.folder)
    made.search()
