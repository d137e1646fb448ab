"""Minutebook: an audit trail for the decisions of machine-learning models.

    import minutebook

    trail = minutebook.open("trail/")
    credit = trail.model("credit-risk", version="1.4.0", artifact="model.onnx")
    clf = credit.wrap(clf)
"""

from . import plots
from ._context import context
from ._core import FieldError, Ids, SpoolFull, TrailError, __version__
from ._decision import Decision
from ._explain import explanation
from ._explain.asked import explainer
from ._faults import EngineError, TrailWarning
from ._life import DisposalCertificate, DisposalPlan, ErasureCertificate, Hold, Refused
from ._model import Model
from ._models import KnownModel, KnownVersion, ModelHistory, VersionRecord
from ._reasons import Reasons
from ._record import Record
from ._redact import KeyedHash, Redaction, bucket, drop, keyed_hash, truncate
from ._search import Facet, Facets, QuestionError, Rows, TableInfo, TimeBar, ValueRange
from ._stats import FeatureStats, Histogram, ModelStats, WindowStats
from ._trail import Status, Trail, Verification, connect, open
from ._types import Explanation
from ._wrap import unwrap

__all__ = [
    "Decision",
    "DisposalCertificate",
    "DisposalPlan",
    "EngineError",
    "ErasureCertificate",
    "Explanation",
    "Facet",
    "Facets",
    "FieldError",
    "FeatureStats",
    "Histogram",
    "Hold",
    "Ids",
    "KeyedHash",
    "KnownModel",
    "KnownVersion",
    "Model",
    "ModelHistory",
    "ModelStats",
    "QuestionError",
    "Reasons",
    "Record",
    "Redaction",
    "Refused",
    "Rows",
    "SpoolFull",
    "Status",
    "TableInfo",
    "TimeBar",
    "Trail",
    "TrailError",
    "TrailWarning",
    "ValueRange",
    "Verification",
    "VersionRecord",
    "WindowStats",
    "__version__",
    "bucket",
    "connect",
    "context",
    "drop",
    "explainer",
    "explanation",
    "keyed_hash",
    "open",
    "plots",
    "truncate",
    "unwrap",
]
