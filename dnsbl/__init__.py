"""A DNS blocklist server and reputation aggregator.

How a report becomes an answer, one arrow a package:

    intake      pulls feeds, reads files, takes mail to traps and partners' posts: bytes become reports
    store       keeps reports and feed entries for ever safe, and what is derived from them
    reputation  folds evidence into a score, decides what each zone lists, since and until when, and what is held
    zones       compiles a zone's listings into a snapshot: one file, checked, read, swapped
    dns         answers from snapshots, and from nothing else
    web         takes reports and questions over HTTP

`app` joins the parts, `cli` is the verbs. On the ground floor: `errors`, `clock`, `subjects`,
`model`, `config`. Imports go that way and never back; tests/test_imports.py holds the line.
"""

__version__ = "0.1.0"
