"""The first paper (Defense-PointNet), whole, by one command: trained, measured, and written down as a report."""
