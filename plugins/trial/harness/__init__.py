"""Runs a sink in a node against a destination that fails at random, and judges what
arrived."""
