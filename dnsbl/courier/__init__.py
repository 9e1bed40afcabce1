"""The courier: a process beside the front that makes the messages of zone transfers, and follows primaries.

    front, asyncio, without numpy            courier, threads, with numpy
    listens, checks address and key    --    request, one end of a socket pair (`link`, `process`), and in the clear
                                             the client's socket: messages go there as fast as it reads (`giving`,
                                             `outlet`), and the front hears of the end
    over TLS passes messages on as
    fast as the client reads           <--   messages, as fast as the front takes them

What a transfer costs is paid there: answers never wait for one, a slow secondary fills its own sockets and holds
nobody, and a courier that dies cuts its transfers and is started again.
"""
