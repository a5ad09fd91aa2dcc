"""Attacks on the log where witnesses look: forks, cuts, and signatures that are not theirs."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.attacks.publication import Publication
from tests.attacks.scene import NOW, Scene, at_home, attack, document, not_stopped
from trustrag.errors import ProofError, Refusal, SignatureError, StaleError, TrustragError
from trustrag.provenance.checkpoint import Note, cosign
from trustrag.provenance.keys import PrivateKey
from trustrag.reader import Reader
from trustrag.witness import Witness
from trustrag.workspace import Workspace

NAME = "outside.example/1"


@dataclass(frozen=True)
class Watched:
    """A store whose policy asks for one witness, that witness, and two forks that its operator made of it."""

    scene: Scene
    witness: Witness

    @contextmanager
    def half(self, name: str) -> Iterator[Workspace]:
        """One half of a fork, by an operator who forgets about the other."""
        home = self.scene.root / f"home-{name}"
        if not home.exists():
            shutil.copytree(self.scene.home, home)
            shutil.copytree(self.scene.folder, self.scene.root / name)
        with at_home(home), self.scene.open(self.scene.root / name) as workspace:
            yield workspace

    def says(self, name: str, text: str) -> Path:
        """In this half, something else is said; it is published, and the folder returned."""
        out = self.scene.root / f"out-{name}"
        if not out.exists():
            shutil.copytree(self.scene.root / "out", out)
        with self.half(name) as workspace:
            workspace.ingest_documents([document("prices.txt", text)], source="acme")
            workspace.log.publish(out)
        return out

    def seen(self, out: Path) -> None:
        """The witness looks at this folder."""
        with at_home(self.scene.root / "witness"):
            (log,) = self.witness.logs()
            self.witness.look(self.witness.follow(str(out), log.keys[0].encode()))

    def gathered(self, name: str) -> None:
        """The operator of this half takes what the witness signed, and publishes it."""
        with self.half(name) as workspace:
            workspace.log.gather(self.witness.state)
            workspace.log.publish(self.scene.root / f"out-{name}")

    def client(self, name: str, out: Path) -> list[str]:
        """What a client of their own is told about prices."""
        with at_home(self.scene.root / f"client-{name}"):
            report = Reader.open(out, clock=lambda: NOW).search("Do prices rise or fall in May?", k=1)
        return [ranked.passage.text for ranked in report.passages if ranked.passage.doc_id == "prices.txt"]

    def refused(self, kind: type[TrustragError], refusal: Refusal, out: Path) -> None:
        """The witness refuses to sign what this folder shows, by this name."""
        self.scene.fails(kind, str(refusal), lambda: self.seen(out))


def watched(scene: Scene) -> Watched:
    """One honest round: published, witnessed, gathered, and asked for from now on."""
    out = scene.root / "out"
    with scene.open() as workspace:
        workspace.log.publish(out)
        vkey = workspace.log.keys[0].encode()
        with at_home(scene.root / "witness"):
            witness = Witness.init(NAME, clock=lambda: NOW, passphrase=None)
            witness.look(witness.follow(str(out), vkey))
        workspace.log.add_witness(NAME, witness.key.encode())
        workspace.log.gather(witness.state)
        workspace.log.set_quorum(1)
        workspace.log.publish(out)
    return Watched(scene, witness)


@attack(
    "fork the log and show each half to another client that asks for a witness",
    "the witness signs one half; nobody is shown the other",
)
def test_fork_under_a_witness(scene: Scene) -> None:
    made = watched(scene)
    first, second = made.says("first", "Prices rise in May."), made.says("second", "Prices fall in May.")
    made.seen(first)
    made.gathered("first")
    assert made.client("one", first) == ["Prices rise in May."]
    made.refused(ProofError, Refusal.FORK, second)
    with made.half("second") as workspace:
        gather = partial(workspace.log.gather, made.witness.state)
        scene.fails(TrustragError, "not a checkpoint that this store has sealed", gather)
    assert made.client("two", second) == []
    assert made.client("one", first) == ["Prices rise in May."]


@attack(
    "... and put the unwitnessed half in the readers' place", "a checkpoint without its witnesses is refused"
)
def test_unwitnessed_half(scene: Scene) -> None:
    made = watched(scene)
    out = made.says("second", "Prices fall in May.")
    shutil.copyfile(out / "checkpoint.pending", out / "checkpoint")
    Publication(scene, out, scene.root / "client").refuses(Refusal.NO_QUORUM)


@attack("... and put the witness's line for one half under the other", "a cosignature is over this very tree")
def test_borrowed_cosignature(scene: Scene) -> None:
    made = watched(scene)
    first, second = made.says("first", "Prices rise in May."), made.says("second", "Prices fall in May.")
    made.seen(first)
    (newest,) = made.witness.state.glob("*/checkpoint")
    line = Note.parse(newest.read_bytes()).signatures[-1]
    note = Note.parse((second / "checkpoint.pending").read_bytes())
    bent = Note(note.text, (*note.signatures, line)).encode()
    (second / "checkpoint").write_bytes(bent)
    Publication(scene, second, scene.root / "client").refuses(Refusal.BAD_SIGNATURE)
    (scene.root / "offered").write_bytes(bent)
    with made.half("second") as workspace:
        scene.fails(SignatureError, "BAD_SIGNATURE", lambda: workspace.log.gather(scene.root / "offered"))


@attack("be your own witness, under the name of the policy's", "a witness is a key, and not a name")
def test_own_witness(scene: Scene) -> None:
    made = watched(scene)
    out = made.says("second", "Prices fall in May.")
    note = cosign((out / "checkpoint.pending").read_bytes(), NAME, PrivateKey.generate(), NOW)
    (out / "checkpoint").write_bytes(note)
    Publication(scene, out, scene.root / "client").refuses(Refusal.NO_QUORUM)


@attack("show the witness a log that was cut back", "it remembers the largest tree that it signed")
def test_witness_of_a_cut_log(scene: Scene) -> None:
    made = watched(scene)
    shutil.copytree(scene.root / "out", scene.root / "before")
    out = made.says("first", "Prices rise in May.")
    made.seen(out)
    made.refused(StaleError, Refusal.ROLLBACK, scene.root / "before")


@attack(
    "roll the database back and go on from there", "what goes on from another past is a fork to the witness"
)
def test_witness_of_a_rolled_back_database(scene: Scene) -> None:
    made = watched(scene)
    made.seen(made.says("first", "Prices rise in May."))
    made.says("second", "Prices fall in May.")
    made.refused(ProofError, Refusal.FORK, made.says("second", "Prices stay in May."))


@attack("roll the operator's database back between seal and cosignature", "what was sealed is remembered too")
def test_rolled_back_before_its_witness(scene: Scene) -> None:
    watched(scene)
    shutil.copytree(scene.folder, scene.root / "before")
    with scene.open() as workspace:
        workspace.withdraw("travel.txt", reason="out of date")
    shutil.rmtree(scene.folder)
    shutil.copytree(scene.root / "before", scene.folder)

    def write() -> object:
        with scene.open() as workspace:
            return workspace.ingest_documents([document("new.txt", "Something new.")], source="acme")

    scene.fails(StaleError, "ROLLBACK", write)


@attack("keep witnesses from seeing a withdrawal", "what is taken out is silent before they have")
def test_unwitnessed_withdrawal(scene: Scene) -> None:
    watched(scene)
    with scene.open() as workspace:
        workspace.withdraw("retention.txt", reason="out of date")
        workspace.log.publish(scene.root / "out")
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "retention.txt")
    Publication(scene, scene.root / "out", scene.root / "client").refuses_passage(
        Refusal.NOT_IN_SNAPSHOT, "retention.txt"
    )


@attack("freeze a witnessed publication", "a cosignature makes no snapshot younger")
def test_witnessed_and_frozen(scene: Scene) -> None:
    made = watched(scene)
    made.seen(scene.root / "out")
    Publication(scene, scene.root / "out", scene.root / "client").refuses(
        Refusal.EXPIRED, now=NOW + 100 * 86_400
    )


@not_stopped(
    "fork the log where its only witness signs whatever it is shown",
    "name several witnesses that have nothing to do with each other, and ask for more than one",
)
def test_colluding_witness(scene: Scene) -> None:
    made = watched(scene)
    outs = {
        name: made.says(name, f"Prices {what} in May.")
        for name, what in (("first", "rise"), ("second", "fall"))
    }
    for name, out in outs.items():
        before = scene.root / f"witness-{name}"
        shutil.copytree(scene.root / "witness", before)
        with at_home(before):
            twin = Witness.open(clock=lambda: NOW)
            twin.look(twin.follow(str(out), twin.logs()[0].keys[0].encode()))
        with made.half(name) as workspace:
            workspace.log.gather(twin.state)
            workspace.log.publish(out)
        assert made.client(name, out)
    scene.say("served to both")
