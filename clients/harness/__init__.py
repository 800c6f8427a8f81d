"""Starts a cluster, runs log clients against it while it fails over, and judges
what they believe."""
