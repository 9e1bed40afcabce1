"""Intake: bytes from feeds, files, mail and partners become reports and list entries in the store. Everything here is
untrusted: bounded in size, time and count, refused line by line, judged as a whole before it is applied.

    gate        every claim passes it: what may not be listed does not come in
    feeds       fetch/ -> formats/ -> lists (health judges) -> entries          schedule says when
    reports     files and partners' posts (partners: their keys)                -> reports
    traps       smtp/ -> mail/ (facts) -> trapped (claims) -> reports           authentication/ beside
    complaints  complaints/ -> complained -> reports
"""
