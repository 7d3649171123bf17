"""What a person sees. It runs without Triton, whatever imports it later.

Triton comes with the CUDA builds of PyTorch, which import it when a training begins and need it for ``torch.compile``
alone. Its LLVM and that of Mesa's OpenGL drivers end the process with SIGSEGV where it is loaded after them.
"""

import sys

sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # as if it were not installed
