"""`python -m dnsbl` is `dnsbl`."""

from .cli import main

main()
