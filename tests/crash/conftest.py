"""The harness is a command; its modules find each other in its own folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
