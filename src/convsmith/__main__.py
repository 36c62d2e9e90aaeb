"""`python -m convsmith`."""

import sys

from .cli import main

sys.exit(main())
