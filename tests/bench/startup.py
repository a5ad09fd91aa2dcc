"""What it costs to start: `import trustrag` and `trustrag --help`, beside a bare interpreter.

    python -m tests.bench.startup

The aims are 0.1 s and 0.3 s on a quiet machine, with no torch, faiss, langchain or tuf loaded (which
tests/test_public_api.py holds).
"""

import statistics
import subprocess
import sys
import time

from tests.arguments import nothing

RUNS = 15
COMMANDS = (
    ("python -c pass", ["-c", "pass"]),
    ("import trustrag", ["-c", "import trustrag"]),
    ("trustrag --help", ["-m", "trustrag.cli", "--help"]),
)


def seconds(arguments: list[str]) -> float:
    """Median wall time of a fresh interpreter, after one run that warms the file cache."""
    spans = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        spans.append(time.perf_counter() - start)
    return statistics.median(spans[1:])


def main() -> None:
    bare = seconds(list(COMMANDS[0][1]))
    for name, arguments in COMMANDS:
        taken = seconds(arguments)
        print(f"{name}: {1000 * taken:.0f} ms, {taken / bare:.1f} times a bare interpreter")


if __name__ == "__main__":
    nothing(__doc__)
    main()
