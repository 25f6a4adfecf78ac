"""How well a mask agrees with a reference: overlap and surface distances.

Dice and Jaccard as in Dice (1945) [1]_ and Jaccard (1912) [2]_; surface
distances as Maier-Hein and others (2024) [3]_ advise: both directions pooled
by the larger 95th percentile for HD95, and by all surface points for the
average symmetric surface distance. The interval of a mean is the percentile
bootstrap of Efron (1979) [4]_.

Empty masks: where both masks lack a class they agree (Dice 1, IoU 1, HD95 0,
ASSD 0); where only one lacks it, Dice and IoU are 0 and the distances are
infinite, which a summary counts apart and leaves out of the mean.

References
----------
.. [1] Dice, L. R. (1945). Measures of the amount of ecologic association
   between species. Ecology 26, 297-302. doi:10.2307/1932409
.. [2] Jaccard, P. (1912). The distribution of the flora in the alpine zone.
   New Phytologist 11, 37-50. doi:10.1111/j.1469-8137.1912.tb05611.x
.. [3] Maier-Hein, L. et al. (2024). Metrics reloaded. Nature Methods 21,
   195-212. doi:10.1038/s41592-023-02151-z
.. [4] Efron, B. (1979). Bootstrap methods: another look at the jackknife.
   Annals of Statistics 7, 1-26. doi:10.1214/aos/1176344552
"""

from napari_segdino.metrics.measures import (
    assd as assd,
)
from napari_segdino.metrics.measures import (
    dice as dice,
)
from napari_segdino.metrics.measures import (
    hd95 as hd95,
)
from napari_segdino.metrics.measures import (
    iou as iou,
)
from napari_segdino.metrics.measures import (
    surface_distances as surface_distances,
)
from napari_segdino.metrics.scores import (
    MEASURES as MEASURES,
)
from napari_segdino.metrics.scores import (
    Row as Row,
)
from napari_segdino.metrics.scores import (
    Summary as Summary,
)
from napari_segdino.metrics.scores import (
    SummaryTable as SummaryTable,
)
from napari_segdino.metrics.scores import (
    bootstrap_mean as bootstrap_mean,
)
from napari_segdino.metrics.scores import (
    score_case as score_case,
)
from napari_segdino.metrics.scores import (
    summarise as summarise,
)
from napari_segdino.metrics.scores import (
    to_csv as to_csv,
)
