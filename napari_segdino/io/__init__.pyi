from .dicom import list_series as list_series
from .geometry import Geometry as Geometry
from .mask_writer import MaskWriter as MaskWriter
from .provenance import Provenance as Provenance
from .read import can_read as can_read, read_mask as read_mask, read_scan as read_scan
from .sample import sample_scan as sample_scan
from .scan import Header as Header, Scan as Scan
from .write import write_mask as write_mask, write_probabilities as write_probabilities
