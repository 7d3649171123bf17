"""What must hold on a GPU: outside the suite, for few machines have one. Run by ``make test-gpu``."""

import os

DEVICE = os.environ.get("POINTWARD_TEST_DEVICE", "cuda")
