"""What each tissue's signal is in the four sequences; one table, read by brain, tumour and head."""

from __future__ import annotations

from dataclasses import dataclass

from braintumor.domain import ENHANCING, NECROTIC_CORE, OEDEMA, MRSequence


@dataclass(frozen=True, slots=True)
class Contrast:
    """Signal of each tissue relative to white matter, and what white matter measures in stored units (`scale`).

    The brain's levels follow the medians of clinical glioma studies (BraTS); the head's are typical of the sequence.
    """

    scale: float
    fluid: float
    grey: float
    necrosis: float
    oedema: float
    enhancing: float
    vessel: float
    bone: float
    marrow: float
    fat: float
    muscle: float

    def lesion(self, value: int) -> float:
        """Signal of the tumour label with this voxel value."""
        return {NECROTIC_CORE.value: self.necrosis, OEDEMA.value: self.oedema, ENHANCING.value: self.enhancing}[value]


# fmt: off
CONTRASTS: dict[MRSequence, Contrast] = {
    MRSequence.T1: Contrast(
        scale=420, fluid=0.30, grey=0.78, necrosis=0.56, oedema=0.80, enhancing=0.74, vessel=0.45,
        bone=0.10, marrow=0.75, fat=1.60, muscle=0.62),
    MRSequence.T1CE: Contrast(
        scale=460, fluid=0.32, grey=0.82, necrosis=0.52, oedema=0.80, enhancing=1.62, vessel=1.75,
        bone=0.10, marrow=0.80, fat=1.55, muscle=0.75),
    MRSequence.T2: Contrast(
        scale=210, fluid=3.30, grey=1.38, necrosis=2.75, oedema=2.10, enhancing=1.80, vessel=0.50,
        bone=0.12, marrow=1.00, fat=1.60, muscle=0.50),
    MRSequence.FLAIR: Contrast(
        scale=240, fluid=0.30, grey=1.22, necrosis=1.25, oedema=1.95, enhancing=1.60, vessel=0.45,
        bone=0.12, marrow=0.75, fat=1.35, muscle=0.50),
}
# fmt: on
