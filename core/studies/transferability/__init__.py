"""The study of transfer attacks of the second paper (L2-norm transferability): its models."""
