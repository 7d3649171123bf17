"""A fuzzer of everything that reads what others have written; ``python -m tests.fuzz --help``."""
