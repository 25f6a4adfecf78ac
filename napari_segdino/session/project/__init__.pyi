from .about import (
    PROJECT_FILE as PROJECT_FILE,
    ImageEntry as ImageEntry,
    Project as Project,
)
from .autosave import Autosave as Autosave, find_left as find_left
from .probes import SavedProbe as SavedProbe
from .read import read_labels as read_labels, read_project as read_project
from .write import (
    ImageState as ImageState,
    ProjectWriter as ProjectWriter,
    State as State,
)
