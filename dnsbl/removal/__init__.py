"""The way off the list: requests, proofs of control, the rules of the zones, and mail that asks for a proof.

    machine   the states of a request, and which follows which          rules    the decision tree (pure)
    proofs    what may prove control of a subject, and the tokens        desk     one store's removals, from end to end
    resolving reverse names and TXT records     rdap   abuse contacts    mailer   the queue of mail, sent by SMTP

A granted removal is an exemption in the store; nothing here edits a listing.
"""
