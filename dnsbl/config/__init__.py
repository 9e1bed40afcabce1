"""Configuration: TOML files to frozen models. Every mistake of every file is reported at once.

`dnsbl.toml` is one `Config` (server.py, distribution.py, access.py); each `zones/NAME.toml` is one `ZoneDef` (zone.py),
each `feeds/NAME.toml` one `FeedDef` (feed.py); load.py reads them. Unknown keys are mistakes: a misspelt limit must not
be a limit that does not hold.
"""

from .access import AccessConfig, RateConfig
from .base import RESERVED, parse_listen, socket_text
from .distribution import ExportConfig, FollowConfig, SecondaryConfig, TsigKeyConfig
from .feed import Columns, FeedDef
from .load import Settings, load, look
from .server import Config, DnsConfig, GuardConfig, MailConfig, ProofConfig, RetentionConfig, TrapConfig
from .zone import KEY_PREFIX, PROOFS, CodeDef, ZoneDef, template

__all__ = [
    "KEY_PREFIX",
    "PROOFS",
    "RESERVED",
    "AccessConfig",
    "CodeDef",
    "Columns",
    "Config",
    "DnsConfig",
    "ExportConfig",
    "FeedDef",
    "FollowConfig",
    "GuardConfig",
    "MailConfig",
    "ProofConfig",
    "RateConfig",
    "RetentionConfig",
    "SecondaryConfig",
    "Settings",
    "TrapConfig",
    "TsigKeyConfig",
    "ZoneDef",
    "load",
    "look",
    "parse_listen",
    "socket_text",
    "template",
]
