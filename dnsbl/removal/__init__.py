"""The way off the list: requests, proofs of control, the rules of the zones, and mail that asks for a proof.

    machine   the states of a request, and which follows which          rules    the decision tree (pure)
    proofs    what may prove control of a subject, and the tokens        requests   one store's removals, end to end
    standing  how a subject stands in a zone                             deciding   what is known, and what a grant does
    proving   proofs that are looked up: by resolving (reverse names, TXT records) and rdap (abuse contacts, which
              registration reads out of what a registry says); names: what strangers call themselves
    mailer    the queue of mail, sent through a relay as letters

A granted removal is an exemption in the store; nothing here edits a listing.
"""
