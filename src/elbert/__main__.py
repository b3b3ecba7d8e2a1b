"""``python -m elbert``: the command line."""

import sys

from elbert.cli.main import main

sys.exit(main())
