"""Run the command line with ``python -m elbert``."""

from __future__ import annotations

import sys

from elbert.cli.main import main

sys.exit(main())
