"""Learning from corrected labels: which case to label next, retraining, and publishing only what is not worse.

`scores` says how much a case would teach, `select` which cases come next, `retrain` trains on what people submitted and lets a
new version through a gate, `simulate` measures what a strategy is worth on cases whose labels are known. A job is a folder
(`job`), so that it can run as a process of its own: ``python -m braintumor.active_learning JOB_FOLDER``.
"""

from braintumor.active_learning.examples import Example, prepare, read_example, write_example
from braintumor.active_learning.gate import Gate, GateVerdict
from braintumor.active_learning.job import RetrainJob, RetrainStatus, Source, is_running, read_status, write_job
from braintumor.active_learning.retrain import run
from braintumor.active_learning.scores import CaseScores, disagreement, score
from braintumor.active_learning.select import STRATEGIES, CaseCandidate, CaseChoice, order

__all__ = [
    "STRATEGIES",
    "CaseCandidate",
    "CaseChoice",
    "CaseScores",
    "Example",
    "Gate",
    "GateVerdict",
    "RetrainJob",
    "RetrainStatus",
    "Source",
    "disagreement",
    "is_running",
    "order",
    "prepare",
    "read_example",
    "read_status",
    "run",
    "score",
    "write_example",
    "write_job",
]
