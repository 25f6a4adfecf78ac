from .blocks import (
    iter_predict_blocks as iter_predict_blocks,
    iter_predict_to as iter_predict_to,
)
from .jobs import (
    Job as Job,
    Row as Row,
    plan_jobs as plan_jobs,
    write_report as write_report,
)
from .run import BatchSettings as BatchSettings, iter_run as iter_run
from .writer import BlockWriter as BlockWriter
