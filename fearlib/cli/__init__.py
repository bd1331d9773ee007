"""The command line, `fear`. In: words. Out: what the library gives, printed.

Imports every room; what takes long to import, torch, pandas and scipy, only where a command needs it, and once
what was asked for is known to make sense.
"""

import os
import sys

from fearlib.errors import InputError, one_line, require


def main() -> None:
    """Run the command line; an error in what was given is one sentence on standard error and exit code 2."""
    if sys.argv[1:] and "--help" not in sys.argv:
        os.environ.setdefault("TYPER_USE_RICH", "0")  # it draws boxes, and is slow to import: help alone needs it
    if hasattr(sys.stdout, "reconfigure"):  # a notebook's has not
        sys.stdout.reconfigure(errors="replace")  # what a terminal's encoding lacks
    try:
        require("typer", "run the command line")
        from fearlib.cli.commands import app

        app()
    except (InputError, ImportError) as error:
        print(f"fear: {error}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "allocate" not in str(error):  # as torch says it
            raise
        print(f"fear: there is too little memory ({one_line(error)}).", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"fear: {error.filename or 'a file'} cannot be used: {error.strerror or error}.", file=sys.stderr)
        sys.exit(2)
