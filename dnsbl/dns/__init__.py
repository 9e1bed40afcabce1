"""Answers from snapshots, and from nothing else.

How a packet goes through:

    udp, tcp  sockets: bytes in, bytes out, limits for strangers
    message   untrusted bytes become a query or an error; a reply becomes bytes
    answer    the ladder from query to reply
    cookies   server cookies, made and checked
    served    what a name of a zone stands for
    records   a zone's records, packed once by dnslib

`native` puts the Rust path (`dnsbl/native/`) in front of that ladder where it is built. `server` opens and closes the
sockets, `counters` keeps what was asked and what became of it, `samples` and `watch` who asks.
"""
