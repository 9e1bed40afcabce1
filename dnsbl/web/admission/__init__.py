"""Who may use the forms that anyone can: pages of ours, not too often, and at the cost of some work or some waiting.

    gate     all of it together, for handlers    rates   how often, by network     forms   bodies, and where to go next
    work     a sum for the browser (altcha)      csrf    from a page of ours       handlers   /work.js, /v1/challenge
    tickets  waiting instead, without script     used    what is good for one time

"The request comes from the address itself" is a proof of control, so no other site may make a visitor's browser ask.
The keys are random and live as long as the process: a restart makes open forms, sums and tickets void. Nothing here
reads or writes the store. All but `Work.challenge` runs in the event loop.
"""

from .csrf import need_own_page
from .forms import read_form, safe_next
from .gate import Admission, Admitted

__all__ = ["Admission", "Admitted", "need_own_page", "read_form", "safe_next"]
