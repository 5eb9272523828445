"""``python -m sgdlimits`` is the command ``sgdlimits``."""

from sgdlimits.cli import main

main()
