"""Every measurement, one module after the other: `make bench`."""

import importlib
import pkgutil

import tests.bench
from tests.arguments import nothing


def main() -> None:
    for module in sorted(module.name for module in pkgutil.iter_modules(tests.bench.__path__)):
        run = getattr(importlib.import_module(f"tests.bench.{module}"), "main", None)
        if run is not None and module != "__main__":
            print(f"== {module}", flush=True)
            run()


if __name__ == "__main__":
    nothing(__doc__)
    main()
