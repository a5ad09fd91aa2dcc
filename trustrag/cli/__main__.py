"""`python -m trustrag.cli` is the command `trustrag`."""

from trustrag.cli.main import main

main()
