"""One writer at a time, by an advisory lock on a file that names the process that holds it."""

import fcntl
import os
from pathlib import Path

from trustrag.errors import ConfigError, ConflictError


class WriterLock:
    """Held from construction until `release`, or until the process ends in whatever way.

    Raises ConflictError, naming the holder's process id, when somebody else has it, and ConfigError where this user may
    not write.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # The number stays in the file when its process dies; it counts only while the lock is held.
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise ConflictError(
                f"{path.parent} is being written by process {holder}: wait until it is done"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets the next writer in. Calling it twice does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
