"""The window. It runs without Triton: later imports find it marked as not installed.

Triton comes with the CUDA builds of PyTorch, which import it when a training begins and need it only for
``torch.compile``. If its copy of LLVM is loaded after the one of Mesa's OpenGL drivers, the process crashes (SIGSEGV).
"""

import sys

sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # as if it were not installed
