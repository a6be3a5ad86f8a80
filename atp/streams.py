"""JetStream streams: made if absent, never changed if there."""

from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import BadRequestError, NotFoundError

#: Server error for a name that is taken: another process was faster.
_NAME_IN_USE = 10058


async def ensure(js: JetStreamContext, config: StreamConfig) -> StreamInfo:
    """The stream of this name as it is, which may differ from ``config`` if somebody else made it."""
    assert config.name
    try:
        return await js.stream_info(config.name)
    except NotFoundError:
        pass
    try:
        return await js.add_stream(config)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
    return await js.stream_info(config.name)
