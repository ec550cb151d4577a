"""Programs that use the service from outside. They need what ``make install`` installs."""

import importlib.util
import sys

if importlib.util.find_spec("psutil") is None:
    sys.exit("bench: run make install, and then .venv/bin/python -m bench...")
