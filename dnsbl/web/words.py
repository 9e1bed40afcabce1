"""What pages say of categories, sources, states, proofs and refusals. Marked for the catalogue; a test holds the tables
against the words of `dnsbl.model`."""

from __future__ import annotations

from ..phrases import N_

__all__ = ["CATEGORIES", "FOLLOWED", "KINDS", "MAILS", "MEANINGS", "PROOFS", "REMOVALS", "STATES", "TITLES"]

CATEGORIES = {
    "spam-trap": N_("Mail to spam traps"),
    "spam": N_("Spam"),
    "phishing": N_("Phishing"),
    "malware": N_("Malware"),
    "botnet": N_("Botnet"),
    "brute-force": N_("Password guessing"),
    "scanner": N_("Scanning"),
    "proxy": N_("Open proxy or relay"),
    "attack": N_("Attacks"),
    "hijacked": N_("Hijacked network"),
    "dynamic": N_("Dynamic or end-user range"),
    "hosting": N_("Hosting range"),
    "snowshoe": N_("Snowshoe spam"),
    "abused-legitimate": N_("Abused legitimate site"),
    "disposable": N_("Disposable mail"),
    "referrer-spam": N_("Referrer spam"),
    "sms-spam": N_("SMS spam"),
    "voip-spam": N_("Telephone spam"),
    "bounce": N_("Misdirected bounces"),
    "newsletter": N_("Unwanted newsletters"),
    "spoofing": N_("Forged senders"),
    "trusted-sender": N_("Trusted sender"),
    "mail-provider": N_("Mail provider"),
    "other": N_("Other abuse"),
}

MEANINGS = {
    "spam-trap": N_("Mail was sent to addresses that never asked for any."),
    "spam": N_("Unsolicited bulk mail."),
    "phishing": N_("Pages or mail that steal passwords or other credentials."),
    "malware": N_("Hosts or spreads malicious software."),
    "botnet": N_("An infected machine, or one that controls infected machines."),
    "brute-force": N_("Tries many passwords on other people's services."),
    "scanner": N_("Probes other people's networks for open services."),
    "proxy": N_("A proxy, relay or anonymiser that strangers can send through."),
    "attack": N_("Attacks were seen on other people's services."),
    "hijacked": N_("A network that was stolen or is run for crime: no traffic from it is wanted."),
    "dynamic": N_("Addresses that were declared dynamic: no mail server is expected there. This is no reproach."),
    "hosting": N_("Networks of hosting companies, declared as such. This is no reproach."),
    "snowshoe": N_("Spam that is spread thinly over many addresses, so that none of them stands out."),
    "abused-legitimate": N_("An honest site that others abuse."),
    "disposable": N_("Mail addresses that are made to be thrown away."),
    "referrer-spam": N_("Advertised by faked visits to web sites."),
    "sms-spam": N_("Unsolicited bulk messages by SMS."),
    "voip-spam": N_("Unsolicited calls."),
    "bounce": N_("Bounces and automatic replies, sent to people whose addresses others had forged."),
    "newsletter": N_("List mail that people say they did not ask for."),
    "spoofing": N_("Mail in the name of others: its sender could not be confirmed."),
    "trusted-sender": N_("A sender that is known to be good."),
    "mail-provider": N_("Addresses that a mail provider's customers share to send from."),
    "other": N_("A source reports abuse without saying in words that we know which."),
}

KINDS = {  # who tells: kinds of sources, and origins of exemptions
    "feed": N_("a public list"),
    "import": N_("a list of the operator's"),
    "list": N_("a list"),
    "operator": N_("the operator"),
    "partner": N_("a partner"),
    "trap": N_("a spam trap"),
    "complaint": N_("complaints of recipients"),
    "source": N_("a source"),
    "never listed": N_("addresses and names that are never listed"),
    "removed on request": N_("removed on request"),
}

STATES = {  # of feeds
    "new": N_("not fetched yet"),
    "ok": N_("good"),
    "unchanged": N_("good, unchanged"),
    "failed": N_("could not be fetched"),
    "quarantined": N_("held back: not believed"),
    "off": N_("off"),
}

FOLLOWED = {  # of zones that are taken from a primary
    "new": N_("not taken yet"),
    "ok": N_("good"),
    "failed": N_("could not be taken"),
    "expired": N_("expired: not answered"),
}

PROOFS = {  # of control, as zones' rules name them
    "address": N_("the request comes from the address itself"),
    "mailbox": N_("a mailbox of its mail administrator answers"),
    "dns": N_("a record in its DNS, which we name"),
    "range": N_("the abuse contact of its network answers, or a partner who owns the network asks"),
}

MAILS = {  # states of a mail that asks for proof
    "waiting": N_("it is still to be delivered; that is tried for a day"),
    "sent": N_("the mail server has taken it"),
    "failed": N_("it could not be delivered; choose another mailbox or proof"),
    "dropped": N_("it was not needed any more"),
}

REMOVALS = {  # states of a request for removal
    "requested": N_("Asked for"),
    "proof-asked": N_("Waiting for proof that it is yours"),
    "proven": N_("Proven to be yours"),
    "granted": N_("Granted: DNS follows within seconds"),
    "refused": N_("Refused for now"),
    "to-person": N_("With a person, who looks at it"),
    "done": N_("Closed"),
}

TITLES = {  # of refusals, by HTTP status
    400: N_("That cannot be understood"),
    403: N_("Not allowed"),
    404: N_("There is nothing here"),
    405: N_("Not done that way"),
    408: N_("That took too long"),
    410: N_("It is not here any more"),
    413: N_("That is too much"),
    415: N_("That is sent in a form we do not take"),
    429: N_("Too many requests"),
    500: N_("A mistake of ours"),
    503: N_("Not now"),
}
