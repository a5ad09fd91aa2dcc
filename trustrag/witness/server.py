"""The witness over HTTP: c2sp.org/tlog-witness, add-checkpoint and the monitor's view.

    POST /add-checkpoint             a cosignature, or one of the statuses of the specification
    GET  /ORIGIN-HASH/checkpoint     the newest checkpoint that was cosigned

It listens on 127.0.0.1 unless it is told otherwise, and speaks no TLS: put a server that does in front of it.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from trustrag.errors import (
    AuthorityError,
    ConflictError,
    MalformedError,
    ProofError,
    SignatureError,
    StaleError,
    TrustragError,
)
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.logproof import Growth
from trustrag.witness.witness import Witness

_MAX_BODY: Final = 1 << 18
_PATIENCE: Final = 30  # seconds for one request
_HEX: Final = frozenset("0123456789abcdef")


def make_server(witness: Witness, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server for this witness; `serve_forever` runs it. Port 0 takes one that is free."""

    class Handler(_Handler):
        pass

    Handler.witness = witness
    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server


def answer(witness: Witness, body: bytes) -> tuple[int, str, bytes]:
    """(status, content type, body) for an add-checkpoint request."""
    try:
        asked = Growth.parse(body)
        checkpoint = Checkpoint.parse(Note.parse(asked.checkpoint).text)
        if asked.old_size > checkpoint.size:
            return _said(400, f"the old size {asked.old_size} is above the checkpoint's {checkpoint.size}")
        seen = witness.cosign(asked)
    except MalformedError as error:
        return _said(400, str(error))
    except SignatureError as error:
        return _said(403, str(error))
    except AuthorityError as error:
        return _said(404, str(error))
    except (ConflictError, StaleError):
        size = _newest_size(witness, checkpoint.origin)
        return 409, "text/x.tlog.size", f"{size}\n".encode()
    except ProofError as error:
        return _said(422, str(error))
    except TrustragError as error:
        return _said(500, str(error))
    return 200, "text/plain; charset=utf-8", seen.line.encode().encode()


def _newest_size(witness: Witness, origin: str) -> int:
    note = witness.newest(origin)
    return 0 if note is None else Checkpoint.parse(Note.parse(note).text).size


def _said(status: int, what: str) -> tuple[int, str, bytes]:
    return status, "text/plain; charset=utf-8", f"{what}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    witness: Witness
    timeout = _PATIENCE
    protocol_version = "HTTP/1.1"  # keep-alive, as the specification wishes

    def do_POST(self) -> None:
        """add-checkpoint."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/add-checkpoint":
            self._send(*_said(404, "POST /add-checkpoint"))
        elif not length.isdecimal() or int(length) > _MAX_BODY:
            self.close_connection = True  # what follows is not read, and must not pass for the next request
            self._send(*_said(400, f"a request has a Content-Length of at most {_MAX_BODY} bytes"))
        else:
            self._send(*answer(self.witness, self.rfile.read(int(length))))

    def do_GET(self) -> None:
        """The newest checkpoint of one log."""
        name, _, rest = self.path.removeprefix("/").partition("/")
        path = self.witness.state / name / "checkpoint"
        known = len(name) == 64 and set(name) <= _HEX and rest == "checkpoint" and path.is_file()
        if known:
            self._send(200, "text/plain; charset=utf-8", path.read_bytes())
        else:
            self._send(*_said(404, "GET /SHA256-OF-ORIGIN/checkpoint"))

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what was signed is in the state folder."""
