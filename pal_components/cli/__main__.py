"""``python -m pal_components.cli``: the command ``pal``."""

import sys

from pal_components.cli import main

sys.exit(main())
