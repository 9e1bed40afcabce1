"""Zones to take away as files: written, packed, signed, listed in a manifest; kept for HTTP, or in a directory.

writing.py    bytes to a file that is complete when it has its name, with its sums; gzip and zstd
manifest.py   what is said of a file, in JSON and in the comment that is signed
kept.py       finished exports for the web side, each made once for all who ask
directory.py  the files of one `[[export]]`, brought up to date
scheduled.py  the job that has it done in a process of its own
deltas.py     what changed since a serial, as rows
"""
