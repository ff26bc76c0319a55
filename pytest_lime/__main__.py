"""``python -m pytest_lime`` is the command ``pytest-lime``."""

import sys

from pytest_lime.cli import main

sys.exit(main())
