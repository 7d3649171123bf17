"""What a person sees. It runs without Triton, whatever imports it later.

Triton comes with the CUDA builds of PyTorch, which import it when a training begins and need it for ``torch.compile`` alone. It brings
an LLVM of its own, and so do Mesa's OpenGL drivers: loaded after them it ends the process with SIGSEGV.
"""

import sys

sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # as if it were not installed
