"""The desk over HTTP: for programs with a key of scope `review` or `admin`, and for people who are signed in.

    deeds   everything that can be done, once for both    reads   everything that can be looked at
    api     /v1/desk                                      pages   /admin

All of it is also a verb of the command line; nothing is decided here.
"""
