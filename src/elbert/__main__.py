"""``python -m elbert``: the command line."""

from __future__ import annotations

import sys

from elbert.cli.main import main

sys.exit(main())
