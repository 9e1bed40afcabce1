"""Who a mail is from, provably: SPF, DKIM, DMARC and ARC, evaluated beside the receiver or read from what a relay of
ours wrote.

    evaluate(data, peer, helo, mail_from, lookups) -> Verdict     blocking; for a worker thread
    believed(headers, authserv_ids) -> Verdict | None             Authentication-Results of a relay of ours
    Authenticator(config).judge(...) -> Verdict                   `evaluate` in a bounded pool, off the event loop

Only `Verdict.aligned` names domains that may be held responsible: everybody can write any domain into a From. Whatever
is unknown, too large, too slow or ambiguous proves nothing; nothing here raises for what a mail or a zone holds.
"""

from __future__ import annotations

from .authenticator import Authenticator
from .believed import believed
from .evaluate import evaluate
from .lookups import Lookups
from .verdict import UNKNOWN, Verdict

__all__ = ["UNKNOWN", "Authenticator", "Lookups", "Verdict", "believed", "evaluate"]
