"""More callers than an API process can serve: what is still answered, how quickly, and who is refused (R25)."""
