"""The command `sklenet`, as ``python -m sklenet``."""

import sys

from ._cli import main

sys.exit(main())
