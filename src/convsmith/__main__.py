"""`python -m convsmith`, as torchrun runs it too."""

import sys

from .cli import main

code = main()
if "torch" in sys.modules:
    from .training.ranks import leave

    leave(code)
sys.exit(code)
