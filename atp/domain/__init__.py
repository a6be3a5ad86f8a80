"""The words: commands, outcomes, records and entries, and the law that joins them (``rules``). No I/O."""
