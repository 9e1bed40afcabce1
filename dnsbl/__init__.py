"""A DNS blocklist server and reputation aggregator.

How a report becomes an answer, one arrow a package:

    intake      pulls feeds, reads files, takes mail to traps and partners' posts: bytes become reports
    store       keeps reports and feed entries until they are forgotten, and what is derived from them
    reputation  folds evidence into a score, decides what each zone lists, since and until when, and what is held
    zones       compiles a zone's listings into a snapshot: one file, checked, read, swapped
    dns         answers from snapshots, and from nothing else
    web         takes partners' reports and complaints, questions, and requests to be taken off, over HTTP

`removal` is the way off (proofs, rules, decisions, mail), `desk` what people decide and `people` who they are, `hooks`
tells partners. `app` joins the parts, `cli` is the verbs; `front` and `back` are the two
processes of a server. On the ground floor: `errors`, `clock`, `subjects`, `model`, `config`, `special`, `hashing`,
`protected`, `phrases`, `geo`, `files`, `keyed`, `sdnotify`, `native`. Imports go that way and never back;
tests/test_imports.py holds the line.
"""

__version__ = "0.1.0"
