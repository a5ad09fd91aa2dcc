"""The rule of a witness: it signs what extends all that it signed, and nothing else."""

import shutil
import threading
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest

from trustrag.errors import (
    AuthorityError,
    ConfigError,
    ConflictError,
    NotFoundError,
    ProofError,
    Refusal,
    SignatureError,
    StaleError,
    TrustragError,
)
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import (
    Checkpoint,
    Note,
    VerifierKey,
    cosign,
    sign_checkpoint,
    verify_checkpoint,
    verify_cosignature,
)
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.logproof import Growth
from trustrag.published.tiles import bundle, parts, tile
from trustrag.witness import Witness
from trustrag.witness.server import answer, make_server

NOW = 1_795_000_000
ORIGIN = "log.example/kb"
LOG = PrivateKey.from_seed(bytes(range(32)))
OTHER = PrivateKey.from_seed(bytes(range(1, 33)))
VKEY = VerifierKey(ORIGIN, LOG.public_key).encode()


def entries(count: int, *, fork: int | None = None) -> list[bytes]:
    """A history; with `fork`, another one from that entry on."""
    return [b"%s %d" % (b"other" if fork is not None and n >= fork else b"entry", n) for n in range(count)]


def checkpoint(log: list[bytes], key: PrivateKey = LOG, origin: str = ORIGIN) -> bytes:
    root = merkle.root([merkle.leaf_hash(entry) for entry in log])
    return sign_checkpoint(Checkpoint(origin, len(log), Digest(root)), key)


def growth(log: list[bytes], old: int, **options: object) -> Growth:
    leaves = [merkle.leaf_hash(entry) for entry in log]
    proof = merkle.consistency_proof(leaves, old) if old else []
    return Growth(old, tuple(proof), checkpoint(log, **options))  # type: ignore[arg-type]


def publish(folder: Path, log: list[bytes], name: str = "checkpoint") -> None:
    leaves = [merkle.leaf_hash(entry) for entry in log]

    def node(level: int, at: int) -> bytes:
        return merkle.root(leaves[at << level : (at + 1) << level])

    for part in parts(0, len(log)):
        path = folder / part.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bundle(part, log.__getitem__) if part.level < 0 else tile(part, node))
    (folder / name).write_bytes(checkpoint(log))


@pytest.fixture
def witness() -> Witness:
    made = Witness.init("witness.example/1", clock=lambda: NOW)
    made.follow(None, VKEY)
    return made


def refused(kind: type[TrustragError], refusal: Refusal | None, act: Callable[[], object]) -> None:
    with pytest.raises(kind) as caught:
        act()
    assert getattr(caught.value, "refusal", None) == refusal


def test_it_signs_a_log_that_grows(witness: Witness) -> None:
    for old, new in ((0, 3), (3, 7), (7, 7), (7, 300)):
        seen = witness.cosign(growth(entries(new), old))
        assert (seen.size, seen.before) == (new, old)
        newest = witness.newest(ORIGIN)
        assert newest is not None
        note = Note.parse(newest)
        assert verify_cosignature(note, witness.key) == NOW
        verify_checkpoint(note, [VerifierKey.parse(VKEY)])
        assert seen.line == note.signatures[-1]
    kept = witness.state.glob("*/seen/*")
    assert sorted(int(path.name) for path in kept) == [3, 7, 300]


def test_it_refuses_by_name(witness: Witness) -> None:
    witness.cosign(growth(entries(10), 0))
    before = witness.newest(ORIGIN)
    refused(StaleError, Refusal.ROLLBACK, lambda: witness.cosign(growth(entries(5), 0)))
    refused(ProofError, Refusal.FORK, lambda: witness.cosign(growth(entries(20, fork=5), 10)))
    refused(ProofError, Refusal.FORK, lambda: witness.cosign(growth(entries(10, fork=9), 10)))
    refused(ProofError, Refusal.FORK, lambda: witness.cosign(Growth(10, (), checkpoint(entries(20)))))
    refused(ConflictError, None, lambda: witness.cosign(growth(entries(20), 0)))
    refused(ConflictError, None, lambda: witness.cosign(growth(entries(20), 11)))
    refused(SignatureError, Refusal.BAD_SIGNATURE, lambda: witness.cosign(growth(entries(20), 10, key=OTHER)))
    refused(
        AuthorityError,
        Refusal.UNKNOWN_KEY,
        lambda: witness.cosign(growth(entries(20), 10, origin="elsewhere")),
    )
    assert witness.newest(ORIGIN) == before


def test_the_first_look_takes_no_proof_and_an_empty_log_its_root(witness: Witness) -> None:
    refused(ProofError, Refusal.FORK, lambda: witness.cosign(Growth(0, (bytes(32),), checkpoint(entries(3)))))
    bent = sign_checkpoint(Checkpoint(ORIGIN, 0, Digest.of(b"?")), LOG)
    refused(ProofError, Refusal.FORK, lambda: witness.cosign(Growth(0, (), bent)))
    assert witness.cosign(growth([], 0)).size == 0
    assert witness.cosign(growth(entries(3), 0)).size == 3


def test_lines_of_others_are_not_handed_on(witness: Witness) -> None:
    asked = growth(entries(3), 0)
    crowded = cosign(asked.checkpoint, "somebody", OTHER, NOW)
    witness.cosign(Growth(0, (), crowded))
    newest = witness.newest(ORIGIN)
    assert newest is not None
    assert [line.name for line in Note.parse(newest).signatures] == [ORIGIN, witness.name]


def test_what_it_saw_outlives_the_process(witness: Witness) -> None:
    witness.cosign(growth(entries(10), 0))
    again = Witness.open(clock=lambda: NOW + 1)
    assert (again.name, again.key) == (witness.name, witness.key)
    refused(StaleError, Refusal.ROLLBACK, lambda: again.cosign(growth(entries(5), 0)))
    assert again.cosign(growth(entries(11), 10)).before == 10


def test_two_at_once_never_go_back(witness: Witness) -> None:
    witness.cosign(growth(entries(10), 0))
    asked = [growth(entries(size), 10) for size in range(11, 31)]
    threads = [threading.Thread(target=partial(answer, witness, one.encode())) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = witness.newest(ORIGIN)
    assert newest is not None
    signed = sorted(int(path.name) for path in witness.state.glob("*/seen/*"))
    assert len(signed) == 2
    assert Checkpoint.parse(Note.parse(newest).text).size == signed[-1]


# ---- looking at a folder


def test_it_looks_at_a_published_folder(witness: Witness, tmp_path: Path) -> None:
    log = witness.follow(str(tmp_path), VKEY)
    refused(NotFoundError, None, lambda: witness.look(log))
    publish(tmp_path, entries(10))
    assert witness.look(log).size == 10
    publish(tmp_path, entries(300), "checkpoint.pending")
    assert (witness.look(log).before, witness.look(log).size) == (10, 300)
    (tmp_path / "checkpoint.pending").unlink()
    refused(StaleError, Refusal.ROLLBACK, lambda: witness.look(log))


def test_a_fork_of_a_folder_is_refused(witness: Witness, tmp_path: Path) -> None:
    log = witness.follow(str(tmp_path), VKEY)
    publish(tmp_path, entries(10))
    witness.look(log)
    shutil.rmtree(tmp_path / "tile")
    publish(tmp_path, entries(20, fork=5))
    refused(ProofError, Refusal.FORK, lambda: witness.look(log))


def test_it_looks_over_http(witness: Witness, tmp_path: Path) -> None:
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    publish(tmp_path, entries(10))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        log = witness.follow(f"http://127.0.0.1:{server.server_address[1]}", VKEY)
        assert witness.look(log).size == 10
        publish(tmp_path, entries(300))
        assert witness.look(log).before == 10
        server.shutdown()


# ---- which logs, which witness


def test_another_key_of_a_log_is_added(witness: Witness, tmp_path: Path) -> None:
    second = VerifierKey(ORIGIN, OTHER.public_key).encode()
    followed = witness.follow(str(tmp_path), second)
    assert [key.encode() for key in followed.keys] == [VKEY, second]
    assert witness.follow(None, second) == followed
    assert witness.logs() == [followed]
    assert witness.cosign(growth(entries(3), 0, key=OTHER)).size == 3


def test_what_is_no_key_or_place_is_refused(witness: Witness, tmp_path: Path) -> None:
    for vkey in ("nothing", VKEY[:-1], witness.key.encode()):
        with pytest.raises(ConfigError):
            witness.follow(None, vkey)
    with pytest.raises(ConfigError):
        witness.follow(str(tmp_path / "nowhere"), VKEY)
    with pytest.raises(ConfigError, match="comes by itself"):
        witness.look(witness.logs()[0])


def test_a_witness_is_made_once_and_found_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no witness is kept here"):
        Witness.open(clock=lambda: NOW)
    first = Witness.init("first", clock=lambda: NOW)
    second = Witness.init("second/w", state=tmp_path / "second", clock=lambda: NOW, passphrase=b"open")
    with pytest.raises(ConfigError, match="already"):
        Witness.init("first", clock=lambda: NOW)
    for name in ("a b", "a+b", ""):
        with pytest.raises(ConfigError):
            Witness.init(name, state=tmp_path / "bad", clock=lambda: NOW)
    assert not (tmp_path / "bad").exists()
    assert Witness.open(clock=lambda: NOW).key == first.key
    opened = Witness.open(state=tmp_path / "second", ask_passphrase=lambda: b"open", clock=lambda: NOW)
    assert opened.key == second.key
    opened.follow(None, VKEY)
    assert opened.cosign(growth(entries(3), 0)).size == 3
    with pytest.raises(ConfigError, match="and not of first"):
        Witness.open("first", state=tmp_path / "second", clock=lambda: NOW)
    Witness.init("third", clock=lambda: NOW)
    with pytest.raises(ConfigError, match="several witnesses are"):
        Witness.open(clock=lambda: NOW)


# ---- over HTTP: the statuses of c2sp.org/tlog-witness


def test_the_statuses_are_those_of_the_specification(witness: Witness) -> None:
    assert answer(witness, b"nonsense")[0] == 400
    assert answer(witness, growth(entries(3), 0, origin="elsewhere").encode())[0] == 404
    assert answer(witness, growth(entries(3), 0, key=OTHER).encode())[0] == 403
    assert answer(witness, Growth(4, (), checkpoint(entries(3))).encode())[0] == 400
    status, kind, body = answer(witness, growth(entries(10), 0).encode())
    assert status == 200
    assert body.startswith("\u2014 witness.example/1 ".encode())
    assert body.endswith(b"\n")
    assert answer(witness, growth(entries(20), 0).encode()) == (409, "text/x.tlog.size", b"10\n")
    assert answer(witness, growth(entries(20, fork=5), 10).encode())[0] == 422
    assert answer(witness, growth(entries(10, fork=9), 10).encode())[0] == 422
    assert answer(witness, growth(entries(20), 10).encode())[0] == 200
    assert kind.startswith("text/plain")


def test_it_answers_over_http(witness: Witness) -> None:
    with make_server(witness) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = HTTPConnection("127.0.0.1", int(server.server_address[1]), timeout=10)

        def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
            connection.request(method, path, body)
            found = connection.getresponse()
            return found.status, found.read()

        name = witness.newest(ORIGIN)
        assert name is None
        assert ask("POST", "/add-checkpoint", growth(entries(10), 0).encode())[0] == 200
        assert ask("POST", "/add-checkpoint", growth(entries(20), 0).encode()) == (409, b"10\n")
        (folder,) = witness.state.glob("*/checkpoint")
        assert ask("GET", f"/{folder.parent.name}/checkpoint") == (200, folder.read_bytes())
        for path in ("/", "/../witness.json", f"/{'0' * 64}/checkpoint", f"/{folder.parent.name}/log.json"):
            assert ask("GET", path)[0] == 404
        assert ask("POST", "/elsewhere", b"")[0] == 404
        connection.close()
        assert ask("POST", "/add-checkpoint", bytes(1 << 19))[0] == 400
        server.shutdown()
