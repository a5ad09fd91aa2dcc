"""Runs each tool on our bytes, which it must accept, and on bent ones, which it must refuse.

    openssl              the DSSE signature, over the PAE; the checkpoint's, over the note's text
    securesystemslib     the DSSE envelope, its PAE and its signature
    in-toto-attestation  the statement, against the Statement v1 and SLSA Provenance v1 schemas
    python-tuf           the trust root, with its own client
    @tufjs/models        the trust root, in JavaScript

Exit 0 when all of it went as it must; 1 when not, or where a tool is missing.
"""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope as SslibEnvelope
from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from tests.arguments import nothing
from tests.interop import samples
from trustrag.provenance.envelope import pae
from trustrag.provenance.keys import PublicKey

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one tool made of one thing: `refusal` is its reason, None where it accepted."""

    tool: str
    thing: str
    honest: bool
    refusal: str | None

    @property
    def right(self) -> bool:
        return (self.refusal is None) == self.honest


def outcome(tool: str, thing: str, honest: bool, check: Callable[..., object], *given: object) -> Outcome:
    """Runs a check, on what it is given, that raises to refuse."""
    try:
        check(*given)
    except Exception as error:
        return Outcome(tool, thing, honest, f"{type(error).__name__}: {error}")
    return Outcome(tool, thing, honest, None)


def flipped(data: bytes) -> bytes:
    """One bit changed, in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


# openssl


def openssl_verify(message: bytes, signature: bytes, public_key: PublicKey) -> None:
    """`openssl pkeyutl -verify -rawin` (RFC 8410 key); raises where it says no."""
    spki = bytes.fromhex("302a300506032b6570032100") + public_key.raw
    with TemporaryDirectory() as scratch:
        parts = {"key.der": spki, "message": message, "signature": signature}
        paths = {name: Path(scratch, name) for name in parts}
        for name, data in parts.items():
            paths[name].write_bytes(data)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"]
        command += ["-inkey", str(paths["key.der"]), "-in", str(paths["message"])]
        done = subprocess.run([*command, "-sigfile", str(paths["signature"])], capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError((done.stdout + done.stderr).strip().splitlines()[0])


def openssl() -> Iterator[Outcome]:
    for kind, envelope in samples.envelopes().items():
        public_key = samples.signer_of(kind).public_key
        message = pae(envelope.payload_type, envelope.payload)
        cases = {
            "": (message, envelope.signature),
            ", payload bent": (pae(envelope.payload_type, flipped(envelope.payload)), envelope.signature),
            ", type changed": (pae("text/plain", envelope.payload), envelope.signature),
            ", signature bent": (message, flipped(envelope.signature)),
        }
        for how, (signed, signature) in cases.items():
            thing = f"{kind} envelope{how}"
            yield outcome("openssl", thing, not how, openssl_verify, signed, signature, public_key)
    text, line = samples.note().split(b"\n\n")
    signature = base64.b64decode(line.split(b" ")[-1])[4:]
    log = samples.key("log").public_key
    yield outcome("openssl", "checkpoint", True, openssl_verify, text + b"\n", signature, log)
    yield outcome("openssl", "checkpoint, bent", False, openssl_verify, flipped(text) + b"\n", signature, log)


# securesystemslib


def dsse_verify(envelope: bytes, public_key: PublicKey) -> None:
    key = SSlibKey(public_key.key_id, "ed25519", "ed25519", {"public": public_key.hex})
    document = json.loads(envelope)
    for signature in document["signatures"]:
        signature["keyid"] = key.keyid  # it looks only at signatures that claim to be this key's
    SslibEnvelope.from_dict(document).verify([key], 1)


def securesystemslib() -> Iterator[Outcome]:
    stranger = samples.key("stranger").public_key
    for kind, envelope in samples.envelopes().items():
        public_key = samples.signer_of(kind).public_key
        document = json.loads(envelope.encode())
        payload = base64.b64encode(flipped(envelope.payload)).decode()
        cases = {
            "": (document, public_key),
            ", payload bent": ({**document, "payload": payload}, public_key),
            ", type changed": ({**document, "payloadType": "text/plain"}, public_key),
            ", another key": (document, stranger),
        }
        for how, (value, by) in cases.items():
            thing = f"{kind} envelope{how}"
            yield outcome("securesystemslib", thing, not how, dsse_verify, json.dumps(value).encode(), by)


# in-toto-attestation


def in_toto_parse(payload: bytes) -> None:
    """Reads a statement with unknown fields refused, and SLSA Provenance with its own schema."""
    message = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    if message.predicate_type == "https://slsa.dev/provenance/v1":
        predicate = json.dumps(json_format.MessageToDict(message.predicate))
        json_format.Parse(predicate, provenance_pb2.Provenance())


def in_toto() -> Iterator[Outcome]:
    for kind, envelope in samples.envelopes().items():
        statement = json.loads(envelope.payload)
        bent = {
            "": statement,
            ", no digest": {**statement, "subject": [{"name": "x"}]},
            ", no subject": {**statement, "subject": []},
            ", another type": {**statement, "_type": "https://in-toto.io/Statement/v0"},
            ", unknown field": {**statement, "predikat": {}},
        }
        if kind == "ingest":
            predicate = {**statement["predicate"], "builder": {"id": "nobody"}}
            bent[", unknown SLSA field"] = {**statement, "predicate": predicate}
        for how, value in bent.items():
            data = json.dumps(value).encode()
            yield outcome(
                "in-toto-attestation", f"{kind} statement{how}", not how, lambda d=data: in_toto_parse(d)
            )


# the trust root


class FromFolder(FetcherInterface):
    """A local-file fetcher that knows nothing of trustrag."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url.removeprefix("file://"))
        if not path.exists():
            raise DownloadHTTPError("missing", 404)
        return iter([path.read_bytes()])


def tuf_open(folder: Path) -> None:
    """python-tuf's client, from the first root to the policy."""
    with TemporaryDirectory() as scratch:
        updater = Updater(
            metadata_dir=scratch,
            metadata_base_url=f"file://{folder}/metadata",
            target_dir=scratch,
            target_base_url=f"file://{folder}/targets",
            fetcher=FromFolder(),
            bootstrap=(folder / "metadata" / "1.root.json").read_bytes(),
        )
        updater.refresh()
        target = updater.get_targetinfo("policy.json")
        if target is None:
            raise ValueError("no policy.json")
        updater.download_target(target)


def tufjs_open(folder: Path) -> None:
    """@tufjs/models, installed beside this file; raises with its reason."""
    done = subprocess.run(["node", str(HERE / "tufjs.mjs"), str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError((done.stdout + done.stderr).strip().splitlines()[0])


def bent_trust_roots(scratch: Path) -> Iterator[tuple[str, Path]]:
    """An honest trust root, then copies of it with one file bent each."""
    honest = scratch / "keys"
    samples.trust_root(honest)
    yield "", honest
    in_force = ["2.root.json", "2.targets.json", "2.snapshot.json", "timestamp.json"]
    policy = max((honest / "targets").iterdir(), key=lambda path: b'"version":2' in path.read_bytes())
    for relative in (*(f"metadata/{name}" for name in in_force), f"targets/{policy.name}"):
        folder = scratch / Path(relative).name
        shutil.copytree(honest, folder)
        path = folder / relative
        path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":3', 1))
        yield f", {Path(relative).name[-16:]} bent", folder
    stranger = scratch / "stranger"
    shutil.copytree(honest, stranger)
    path = stranger / "metadata" / "timestamp.json"
    document = json.loads(path.read_bytes())
    document["signatures"][0]["sig"] = samples.key("stranger").sign(b"something else").hex()
    path.write_bytes(json.dumps(document).encode())
    yield ", signed by a stranger", stranger


def trust_roots() -> Iterator[Outcome]:
    with TemporaryDirectory() as scratch:
        for how, folder in bent_trust_roots(Path(scratch)):
            yield outcome("python-tuf", f"trust root{how}", not how, tuf_open, folder)
            yield outcome("@tufjs/models", f"trust root{how}", not how, tufjs_open, folder)


def prepare() -> str | None:
    """Fetches what npm has to fetch; says what is missing, or None."""
    for tool, why in {"openssl": "OpenSSL 3", "node": "Node.js 20", "npm": "npm"}.items():
        if shutil.which(tool) is None:
            return f"{tool} is missing: install {why}"
    done = subprocess.run(["npm", "ci", "--silent"], cwd=HERE, capture_output=True, text=True)
    return (
        None if done.returncode == 0 else f"npm could not fetch @tufjs/models: {done.stderr.strip()[-300:]}"
    )


def main() -> int:
    """Prints one line for each thing that each tool was given."""
    missing = prepare()
    if missing is not None:
        print(f"interop: {missing}")
        return 1
    outcomes = [*openssl(), *securesystemslib(), *in_toto(), *trust_roots()]
    for found in outcomes:
        said = "accepted" if found.refusal is None else "refused"
        mark = "ok " if found.right else "BAD"
        why = " ".join((found.refusal or "").split())[:70]
        print(f"{mark} {found.tool:19} {said} {found.thing:34} {why}".rstrip())
    wrong = sum(not found.right for found in outcomes)
    accepted = sum(found.honest for found in outcomes)
    print(f"{len(outcomes)} checks: {accepted} honest, {len(outcomes) - accepted} bent, {wrong} went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    nothing(__doc__)
    sys.exit(main())
