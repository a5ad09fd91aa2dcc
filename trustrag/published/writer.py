"""Publishing: the ledger as static files, and again, whenever it went on, only what is new.

    keys, vectors, tiles, shards      nobody reads what the checkpoint does not lead to
    state/SIZE                        nor this: it is found by the size that a checkpoint signs
    checkpoint                        from here on the new publication is there, whole
    older states, shards, vectors     cleared away; the last eight states stay for readers that are at work

Dying anywhere leaves the former publication as it was, and the next one goes on from there. Everything that it names is
on the disk before the checkpoint is.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from trustrag.errors import ConfigError, LedgerError, MalformedError, ProofError, Refusal, StaleError
from trustrag.files import locked, make_folder, write_whole
from trustrag.ledger import Ledger
from trustrag.ledger.log import Log
from trustrag.ledger.model import Snapshot
from trustrag.ledger.rows import StandingRow
from trustrag.ledger.sqlite import Session
from trustrag.ledger.vectors import VectorFile
from trustrag.provenance.canonical import parse_metadata
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.merkle import verify_consistency
from trustrag.provenance.standing import StandingEntry, bucket_of
from trustrag.published.shards import (
    EMPTY_SHARD,
    NO_FILE,
    SHARD_BUCKETS,
    SHARDS,
    Chunk,
    Filed,
    Record,
    State,
    above,
    shard_file,
    term_hash,
)
from trustrag.published.standing import STANDING, shard_path, spans
from trustrag.published.store import STATES
from trustrag.published.tiles import CHECKPOINT, PENDING, WIDTH, Part, bundle, parts, tile
from trustrag.published.vectors import PackWriter
from trustrag.stored import term

KEPT_STATES = 8
KEYS = "keys"
_AT_ONCE = 16  # files that wait for the disk

Progress: TypeAlias = Callable[[int, int | None, str], None]
Accepts: TypeAlias = Callable[[bytes], bool]
"""Whether readers would believe this checkpoint: whether it has the witnesses that the policy asks for."""


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What one publication wrote. `snapshot` is what readers are shown (None: nothing yet), `pending` what waits."""

    snapshot: int | None
    pending: int | None
    size: int
    files: int
    bytes: int
    shards: int
    removed: int


def publish(
    ledger: Ledger, out: Path, keys_folder: Path, accepts: Accepts, progress: Progress | None = None
) -> PublishReport:
    """Bring the folder `out` to the ledger's newest snapshot.

    Readers are shown the newest checkpoint that `accepts` says yes to; a newer one lies beside it until its witnesses
    have cosigned it. Requires a head that the caller's policy accepted. Raises ConfigError for a folder of something
    else, StaleError (ROLLBACK) where the publication is newer than the ledger, ProofError (FORK) where it is of another
    history, and LedgerError where the rows do not lead to what was signed.
    """
    if out.exists() and not (out.is_dir() and (_is_ours(out) or not any(out.iterdir()))):
        raise ConfigError(f"{out} holds something else than a publication: name a new folder")
    make_folder(out)
    with locked(out), ledger.reading() as (session, vectors):
        newest = session.snapshot()
        if newest is None:
            raise LedgerError("nothing has been sealed yet: there is nothing to publish")
        return _Publishing(ledger, session, vectors, out, newest, progress).run(keys_folder, accepts)


def _is_ours(out: Path) -> bool:
    return (out / CHECKPOINT).is_file() or (out / PENDING).is_file() or (out / STATES).is_dir()


class _Publishing:
    """One publication in progress, within one read transaction of the ledger."""

    def __init__(
        self,
        ledger: Ledger,
        session: Session,
        vectors: VectorFile,
        out: Path,
        newest: Snapshot,
        progress: Progress | None,
    ) -> None:
        self._ledger = ledger
        self._session = session
        self._vectors = vectors
        self._out = out
        self._newest = newest
        self._progress = progress or (lambda done, total, name: None)
        self._log = Log(session)
        self._drafts: list[tuple[Path, Path]] = []
        self._files = self._bytes = 0
        self._packs = PackWriter(out, ledger.embedder.dimension)

    def run(self, keys_folder: Path, accepts: Accepts) -> PublishReport:
        """All of it, in the order that the module tells."""
        published = self._published_size()
        try:
            self._copy_keys(keys_folder)
            self._write_log(published)
            before = self._state_before()
            state, written = self._write_shards(before)
            self._settle()
            # Only now: the next publication builds on whatever state it finds.
            self._put(f"{STATES}/{state.size}", state.encode(), at_once=True)
            shown, pending = self._point(accepts)
            removed = self._clear()
        finally:
            self._packs.close()
            for draft, _ in self._drafts:
                draft.unlink(missing_ok=True)
        return PublishReport(shown, pending, state.size, self._files, self._bytes, written, removed)

    # ---- the log

    def _published_size(self) -> int:
        """How far the publication's tiles go; our log must extend it."""
        sizes = [0]
        for name in (CHECKPOINT, PENDING):
            with suppress(FileNotFoundError):
                old = Checkpoint.parse(Note.parse((self._out / name).read_bytes()).text)
                self._require_extends(old)
                sizes.append(old.size)
        return max(sizes)

    def _require_extends(self, old: Checkpoint) -> None:
        note = self._session.checkpoint(self._newest.version)
        new = Checkpoint.parse(Note.parse(note).text)
        if old.origin != new.origin:
            raise ConfigError(f"{self._out} is the publication of {old.origin}, and not of {new.origin}")
        if old.size > new.size:
            reason = (
                f"{self._out} shows {old.size} log entries, and the ledger has {new.size}: it was put back"
            )
            raise StaleError(Refusal.ROLLBACK, reason)
        try:
            proof = self._log.consistency(old.size, new.size)
            verify_consistency(old.size, new.size, old.root.value, new.root.value, proof)
        except ProofError as error:
            reason = f"{self._out} shows another history than the ledger: {error.reason}"
            raise ProofError(Refusal.FORK, reason) from error

    def _write_log(self, published: int) -> None:
        for part in parts(published, self._newest.log_size):
            if part.level < 0:
                self._put(part.path, bundle(part, self._session.entry_envelope))
            else:
                self._put(part.path, tile(part, self._log.node))

    # ---- what stands

    def _state_before(self) -> State | None:
        """The newest state that is there and is no newer than ours, to build on."""
        for size in sorted(_sizes(self._out), reverse=True):
            if size <= self._newest.log_size:
                state = _state(self._out, size)
                if state is not None and (state.embedder, state.context) == (
                    self._ledger.embedder,
                    self._ledger.context,
                ):
                    return state
        return None

    def _write_shards(self, before: State | None) -> tuple[State, int]:
        """The new state, and how many shards were written for it."""
        shards = [(EMPTY_SHARD, NO_FILE)] * SHARDS if before is None else list(before.shards)
        moved = sorted({bucket_of(doc_id) // SHARD_BUCKETS for doc_id in self._moved(before)})
        for done, number in enumerate(moved):
            self._progress(done, len(moved), f"shard {number:03x}")
            shards[number] = self._write_shard(number, shards[number][1])
        self._progress(len(moved), len(moved), "")
        if above([root for root, _ in shards])[-1][0] != self._newest.root.value:
            raise LedgerError(
                "what ledger.db says stands does not lead to the signed snapshot: run trustrag audit; if that finds "
                f"nothing, what is in {self._out} was changed: publish into a new folder"
            )
        total = self._session.vector_rows()
        self._packs.reach(total)
        newest = self._newest
        state = State(
            newest.log_size,
            newest.version,
            total,
            self._ledger.context,
            self._ledger.embedder,
            tuple(shards),
        )
        return state, len(moved)

    def _moved(self, before: State | None) -> Iterator[str]:
        """The documents of which anything ended or began since that state."""
        if before is None:
            yield from (row.doc_id for row in self._session.standing_now())
            return
        for version in range(before.snapshot + 1, self._newest.version + 1):
            yield from (row.doc_id for row in self._session.moved_in(version))

    def _write_shard(self, number: int, before: bytes) -> tuple[bytes, bytes]:
        documents = [
            self._filed(row, bucket)
            for bucket in range(SHARD_BUCKETS)
            for row in self._session.bucket(number * SHARD_BUCKETS + bucket)
        ]
        had = spans(self._out, number, before) if before != NO_FILE else set()
        for item in documents:
            span = item.record.first, len(item.record.chunks)
            if span not in had:
                rows = [self._vectors.row(at) for at in range(span[0], sum(span))]
                if any(len(row) != 4 * self._ledger.embedder.dimension for row in rows):
                    raise LedgerError("vectors.f32 is cut off: restore it from a backup")
                self._packs.write(span[0], b"".join(rows))
        if not documents:
            return EMPTY_SHARD, NO_FILE
        root, data, digest = shard_file(number, documents)
        self._put(shard_path(number, digest), data)
        return root, digest

    def _filed(self, row: StandingRow, bucket: int) -> Filed:
        version = self._session.version(row.version)
        if version is None:
            raise LedgerError(f"version row {row.version} is missing in ledger.db")
        chunks = tuple(
            Chunk(chunk.text, chunk.start, chunk.end, chunk.text_digest, chunk.vector_digest)
            for chunk, _ in self._session.chunks(version.first_chunk, version.chunk_count)
        )
        if len(chunks) != version.chunk_count:
            raise LedgerError(f"chunks of {version.doc_id} are missing in ledger.db: run trustrag audit")
        fields = parse_metadata(version.metadata)
        record = Record(
            StandingEntry.parse(row.entry),
            version.first_chunk,
            version.source_name,
            version.metadata,
            version.metadata_digest,
            chunks,
        )
        return Filed(record, bucket, tuple(term_hash(name, term(value)) for name, value in fields.items()))

    # ---- the checkpoint

    def _point(self, accepts: Accepts) -> tuple[int | None, int | None]:
        """Show readers the newest checkpoint that they would believe: (its snapshot, the newest one if it waits)."""
        newest, there = self._newest, _sizes(self._out)
        for version in range(newest.version, 0, -1):
            found = self._session.snapshot(version)
            if found is None or found.log_size not in there:
                continue
            note = self._session.checkpoint(version)
            if accepts(note):
                self._put(CHECKPOINT, note, at_once=True)
                break
        else:
            version = 0
        if version == newest.version:
            (self._out / PENDING).unlink(missing_ok=True)
            return version, None
        self._put(PENDING, self._session.checkpoint(newest.version), at_once=True)
        return version or None, newest.version

    # ---- files

    def _copy_keys(self, keys_folder: Path) -> None:
        """The public trust root; `timestamp.json`, which names all the rest, comes last."""
        with locked(keys_folder):
            names = [
                path.relative_to(keys_folder)
                for folder in ("targets", "metadata")
                for path in sorted((keys_folder / folder).rglob("*.json"))
            ]
            for name in sorted(names, key=lambda name: (name.name == "timestamp.json", name)):
                self._put(f"{KEYS}/{name}", (keys_folder / name).read_bytes(), at_once=True)

    def _put(self, name: str, data: bytes, *, at_once: bool = False) -> None:
        """Write one file whole, unless that is what is there: with the others, by `_settle`, or at once."""
        path = self._out / name
        if path.is_file() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files += 1
        self._bytes += len(data)
        if at_once:
            write_whole(path, data)
            return
        draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        draft.write_bytes(data)
        self._drafts.append((draft, path))

    def _settle(self) -> None:
        """Whatever a checkpoint is about to lead to is on the disk, and so are its names.

        Many files wait for the disk at once: one after the other, each would wait for a turn of it.
        """
        self._packs.settle()
        with ThreadPoolExecutor(_AT_ONCE) as waiting:
            for _ in waiting.map(_flush, [draft for draft, _ in self._drafts]):
                pass
            for draft, path in self._drafts:
                os.replace(draft, path)
            folders = {folder for _, path in self._drafts for folder in path.parents}
            for _ in waiting.map(_flush, [one for one in folders if one.is_relative_to(self._out)]):
                pass
        self._drafts.clear()

    def _clear(self) -> int:
        """Remove what no reader needs any more; vectors of what left the folder are blanked before their shard goes."""
        sizes = sorted(_sizes(self._out), reverse=True)
        shown = _size_of(self._out / CHECKPOINT)
        kept = {*sizes[:KEPT_STATES], *([] if shown is None else [shown])}
        removed = 0
        states = [state for size in sorted(kept) if (state := _state(self._out, size)) is not None]
        named = [{state.shards[number][1] for state in states} for number in range(SHARDS)]
        for number, digest in _shards(self._out):
            if digest not in named[number]:
                stays = [spans(self._out, number, other) for other in named[number] if other != NO_FILE]
                for span in spans(self._out, number, digest).difference(*stays):
                    self._packs.blank(*span)
                (self._out / shard_path(number, digest)).unlink()
                removed += 1
        for draft in self._out.rglob(
            ".*.*"
        ):  # of a publication that died: we hold the lock, so nobody writes them
            draft.unlink()
        for size in set(sizes) - kept:
            (self._out / STATES / str(size)).unlink()
            removed += 1
        for part in parts(0, self._newest.log_size):
            if part.width == WIDTH:
                removed += _remove_partial(self._out, part)
        return removed


def _flush(path: Path) -> None:
    """Returns when the disk has the file's bytes, or the folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_partial(out: Path, part: Part) -> int:
    """A full tile takes the place of its partial ones (tlog-tiles, "Partial Tiles")."""
    partial = out / f"{part.full}.p"
    if not partial.is_dir():
        return 0
    count = sum(1 for _ in partial.iterdir())
    shutil.rmtree(partial)
    return count


def _sizes(out: Path) -> set[int]:
    """The sizes for which there is a state."""
    return {int(path.name) for path in (out / STATES).glob("*") if path.name.isdecimal()}


def _state(out: Path, size: int) -> State | None:
    """The state for this size, or None where there is none that can be read."""
    try:
        return State.parse((out / STATES / str(size)).read_bytes())
    except (FileNotFoundError, MalformedError):
        return None


def _size_of(checkpoint: Path) -> int | None:
    try:
        return Checkpoint.parse(Note.parse(checkpoint.read_bytes()).text).size
    except (FileNotFoundError, MalformedError):
        return None


def _shards(out: Path) -> Iterator[tuple[int, bytes]]:
    """All shard files that are there, and no drafts."""
    for path in sorted((out / STANDING).glob("*/*")):
        with suppress(ValueError):
            number, digest = int(path.parent.name, 16), bytes.fromhex(path.name)
            if number < SHARDS:
                yield number, digest
