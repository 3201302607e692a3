"""``python -m inferno_cuda``."""

import sys

from .cli import main

sys.exit(main())
