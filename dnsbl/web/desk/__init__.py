"""The desk over HTTP: for programs with a key of scope `review` or `admin`, and for people who are signed in.

    deeds     everything that can be done, once for both    api       /v1/desk: everything that can be looked at, too
    pages     /admin                                        doing     deeds from pages: mistakes, what is asked again
    reviewing the queue, a removal on one screen            looks     what is said of deeds and fields

All of it is also a verb of the command line; nothing is decided here.
"""
