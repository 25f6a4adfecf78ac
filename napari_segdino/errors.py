"""The errors that users meet: one sentence each, saying what to do."""


class SegDINOError(Exception):
    """Base of every error this package raises on purpose.

    Its text is one sentence that a user can act on; the dock and the command
    line show it as it is. Details go to the log.
    """


class InputError(SegDINOError, ValueError):
    """An image, a mask, marks or a setting cannot be used as given."""


class ChannelsError(InputError):
    """An image has other channels than those a probe learned from."""


class NotFittedError(SegDINOError):
    """Something was asked of a probe that has not learned anything yet."""


class WeightsError(SegDINOError):
    """Encoder weights cannot be found, fetched, read or matched."""


class ModelFileError(SegDINOError):
    """A probe file cannot be read, written or used with this encoder."""


class ScanError(SegDINOError):
    """A scan or mask file cannot be read or written."""


class ProjectError(SegDINOError):
    """A project cannot be read or written."""
