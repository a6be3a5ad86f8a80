"""The command line ``atp``: one file per command; each loads only the rooms it runs."""
