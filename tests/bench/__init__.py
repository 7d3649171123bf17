"""Times of ours beside its peers', and of the window; OpenMP's threads wait as they do in the program."""

from core.runtime.threads import sleep_while_waiting

sleep_while_waiting()  # before PyTorch is loaded
