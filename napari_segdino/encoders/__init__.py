"""Encoders: frozen networks that turn planes into feature levels.

Importing this package loads neither torch nor timm nor anything of the network.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
