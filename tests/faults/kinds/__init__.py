"""Faults: each can be done to a stack and undone, and says why it cannot be on this machine."""
