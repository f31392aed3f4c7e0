"""`python -m gentwin` is the `gentwin` command."""

from gentwin.cli import main

main()
