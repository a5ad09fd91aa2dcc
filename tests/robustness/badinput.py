"""`python -m tests.robustness.badinput`: bad files, one at a time and all in one run, with their time and memory.

Each case is read in a fresh process, so that its peak is its own; `peak` is the largest resident size of that process,
`parser` that of the process which other people's parsers run in. Then all of them lie in one folder, with good files
between them, and the command takes that folder in.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.arguments import nothing
from tests.ingest.bad import CASES


def measure(number: int, folder: Path) -> dict[str, object]:
    """Read one case here, and tell what it took."""
    from trustrag.ingest.document import Document
    from trustrag.ingest.isolation import _parsers
    from trustrag.ingest.readers import read

    # What a process is forked off with counts for its peak, unless that is set back.
    Path("/proc/self/clear_refs").write_text("5")
    began = time.monotonic()
    found = list(read([folder]))
    took = time.monotonic() - began
    _parsers.close()
    problems = [item.reason for item in found if not isinstance(item, Document)]
    return {
        "case": number,
        "seconds": took,
        "peak": peak(),
        "parser": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "documents": len(found) - len(problems),
        "problems": problems,
    }


def peak() -> float:
    """The largest resident size of this process since it was set back, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def one(number: int) -> dict[str, object]:
    """Make one case, and measure it in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        CASES[number].make(Path(folder))
        command = [sys.executable, "-m", "tests.robustness.badinput", str(number), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def together() -> str:
    """All of them in one folder that the command takes in, with a good file before and after each."""
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        for number, case in enumerate(CASES):
            folder = base / "docs" / f"{number:02}"
            folder.mkdir(parents=True)
            (folder / "0-before.txt").write_text(f"Good text before number {number}.")
            (folder / "zz-after.txt").write_text(f"Good text after number {number}.")
            case.make(folder)
        run = [sys.executable, "-m", "trustrag.cli"]
        environment = {**os.environ, "TRUSTRAG_HOME": str(base / "home")}
        setup = [*run, "init", str(base / "kb"), "--source", "acme", "--no-passphrase", "--embedder", "hash"]
        subprocess.run(setup, env=environment, check=True, capture_output=True)
        began = time.monotonic()
        ingest = [*run, "-w", str(base / "kb"), "ingest", str(base / "docs"), "--sign", "--json"]
        done = subprocess.run(ingest, env=environment, capture_output=True, text=True, check=False)
        report = json.loads(done.stdout)
        admitted = {item["doc_id"] for item in report["admitted"]}
        good = sum(
            name.endswith((".txt",)) and name[3:] in ("0-before.txt", "zz-after.txt") for name in admitted
        )
    return (
        f"all in one run: {time.monotonic() - began:.0f} s, exit status {done.returncode}, "
        f"{good} of {2 * len(CASES)} good files admitted, {len(report['refused'])} lines of refusal"
    )


def main() -> None:
    """Print the table."""
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), Path(sys.argv[2]))))
        return
    nothing(__doc__)
    print("| input | what is said of it | s | peak MiB | parser MiB |")
    print("|---|---|--:|--:|--:|")
    for number, case in enumerate(CASES):
        found = one(number)
        problems = found["problems"]
        lines = problems if isinstance(problems, list) else []
        said = lines[-1] if lines else f"read: {found['documents']} document"
        more = f" (the last of {len(lines)} lines)" if len(lines) > 1 else ""
        shown = str(said).replace("|", "\\|")
        print(
            f"| {case.name} | {shown[:150]}{more} | {found['seconds']:.1f} | {found['peak']:.0f} | {found['parser']:.0f} |",
            flush=True,
        )
    print(f"\n{together()}")


if __name__ == "__main__":
    main()
