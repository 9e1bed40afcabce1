"""What was found out about the origin of a mail, in the words of RFC 8601."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["UNKNOWN", "WORDS", "Signature", "Verdict"]

# RFC 8601 section 2.7; "policy" is a signature that verifies and that we do not accept all the same.
WORDS = frozenset(("none", "pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror"))

Signature = tuple[str, str, str]  # d=, s=, result; d= and s= are empty where they cannot be what they should be


@dataclass(slots=True, frozen=True)
class Verdict:
    """Names are in lower case and as A-labels, and empty where there is none that is usable."""

    spf: str = "none"
    spf_domain: str = ""  # of MAIL FROM; of HELO where MAIL FROM is empty
    dkim: tuple[Signature, ...] = ()
    dmarc: str = "none"
    from_domain: str = ""  # of the one address in the one From field
    arc: str = "none"  # reported only: proves nothing
    aligned: tuple[str, ...] = ()  # From and MAIL FROM domains that a pass proves, as the mail has them
    source: str = "none"  # "evaluated", "authserv-id NAME", or "none": nothing is known

    def as_json(self) -> dict[str, Any]:
        """For evidence: small, without what is empty."""
        found = {
            "source": self.source,
            "spf": self.spf,
            "spf_domain": self.spf_domain,
            "dkim": [{"domain": domain, "selector": name, "result": word} for domain, name, word in self.dkim],
            "dmarc": self.dmarc,
            "from": self.from_domain,
            "arc": self.arc,
            "aligned": list(self.aligned),
        }
        return {key: value for key, value in found.items() if value}


UNKNOWN = Verdict()
