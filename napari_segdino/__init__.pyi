from .marks import marks_from_mask as marks_from_mask
from .segmenter import Segmenter as Segmenter

__version__: str
