"""Facts about the real mail of $DNSBL_DATA (SpamAssassin's corpus of 2002) that several tests need."""

from __future__ import annotations

from ipaddress import ip_network

# The receiving side, as its operator would declare it: what hands mail on to the mailboxes of this corpus.
RELAYS = [
    ip_network(network)
    for network in (
        "193.120.211.219",  # webnote.net: mail exchanger, and the mailbox that fetchmail empties
        "205.210.42.0/24",  # easydns.com forwards (smtp, rack3)
        "194.125.145.45",  # lugh.tuatha.org: the lists of linux.ie
        "193.1.219.90",  # byron.heanet.ie: second mail exchanger of linux.ie
        "195.129.80.16",  # relay.dub-t3-1.nwcgroup.com: third
        "216.136.171.0/24",  # lists.sourceforge.net, and behind it
        "10.3.1.0/24",
        "216.136.204.0/24",  # freebsd.org: mail exchangers and lists
        "208.201.224.0/24",  # sonic.net forwards its traps
    )
]
