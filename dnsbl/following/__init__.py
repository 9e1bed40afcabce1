"""Following: zones that are not made here but taken from a primary, by transfer or as snapshot files over HTTPS.

    following   the tasks: when to ask whom, and what to do when it fails
    asking      SOA queries and transfers: UDP, TCP, TLS, signed or not
    messages    transfer messages taken apart: every octet is a stranger's
    transfer    the records of one transfer, in turn: a whole zone, or differences
    gathered    what the records say is listed
    contents    of that, what the zone holds
    names       of a zone of names, what differences make of it
    taking      one zone brought up to its primary by all of these
    verify      those records compared with all that came
    install     contents to a snapshot file, checked, and the pointer swapped
    mirror      snapshot files over HTTPS, whole or in part, by checksum and signature
    http        its requests
    minisign    those signatures

The mirror has the zone's file as the primary has it. Whatever is refused, the zone that is held is answered from on.
"""
