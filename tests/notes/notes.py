"""Notes of seven patients who do not exist, made up for these tests, with the sentences a reader would want on each topic.

Thresholds and keywords were chosen on ``TUNED_ON``; ``HELD_OUT`` were written before the last choice and measured after it.
Their notes are in ``patients/``. A fragment names the sentence that holds it; sentences that fit two topics are under both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from braintumor.domain import Patient, Topic

D, S, R, C, Y, H = Topic.DIAGNOSIS, Topic.SURGERY, Topic.RADIOTHERAPY, Topic.DRUGS, Topic.SYMPTOMS, Topic.HISTORY


PATIENTS = Path(__file__).parent / "patients"


@dataclass(frozen=True)
class Case:
    """A made-up patient: the name of the folder of notes, and per topic the fragments of the sentences to be found."""

    patient: Patient
    name: str
    wanted: Mapping[Topic, tuple[str, ...]]

    @property
    def folder(self) -> Path:
        return PATIENTS / self.name

    def texts(self) -> list[str]:
        return [path.read_text(encoding="utf-8") for path in sorted(self.folder.iterdir())]


LETTERS = Case(
    Patient(patient_id="KX-4471", name="Whitlock^Edwin", birth_date="19610314"),
    "letters",
    {
        D: (
            "ring-enhancing mass in the left temporal",
            "glioblastoma, IDH-wildtype",
            "MGMT promoter is methylated",
            "no evidence of recurrence",
        ),
        S: ("offer an awake craniotomy", "underwent an awake left temporal craniotomy", "Surgery was\nuncomplicated"),
        R: ("completed radiotherapy, 60 Gy",),
        C: (
            "started dexamethasone 4 mg",
            "Dexamethasone is being reduced",
            "with concurrent temozolomide",
            "four cycles of\nadjuvant",
            "off steroids since June",
        ),
        Y: (
            "morning headache and two focal seizures",
            "struggles to find the right words",
            "no papilloedema",
            "mild expressive dysphasia",
            "free of seizures since surgery",
            "Karnofsky performance status is 90",
        ),
        H: ("amlodipine for hypertension", "stopped smoking in 2009", "mother had breast cancer"),
    },
)

LISTS = Case(
    Patient(patient_id="0098213", name="Baptiste^Corinne", birth_date="19790902"),
    "lists",
    {
        D: (
            "non-enhancing right frontal lesion",
            "Oligodendroglioma, IDH1",
            "Ki-67 index",
            "residual tumour stable",
        ),
        S: (
            "Right frontal craniotomy, subtotal",
            "Neuronavigation and 5-ALA",
            "70 % of the lesion was removed",
            "Appendicectomy",
        ),
        R: ("54 Gy in 30 fractions",),
        C: ("Dexamethasone 8 mg od", "PCV chemotherapy: six", "Dexamethasone stopped October"),
        Y: (
            "Generalised tonic-clonic",
            "low mood and forgetfulness",
            "No vomiting, no visual",
            "One focal seizure",
            "Fatigue in the afternoons",
            "ECOG 1",
        ),
        H: ("Asthma, uses", "Appendicectomy", "Migraine", "Penicillin"),
    },
)

HINDI = Case(
    Patient(patient_id="UH77120", name="Verma^Sunita", birth_date="19680121"),
    "hindi",
    {
        D: ("ट्यूमर दिखा", "Glioblastoma IDH wild type"),
        S: ("Left parietal craniotomy", "ऑपरेशन के बाद"),
        R: ("RT 60Gy/30#",),
        C: ("with TMZ 75 mg/m2", "डेक्सामेथासोन 2"),
        Y: ("सिरदर्द और उल्टी", "दाहिने हाथ में", "दौरा पड़ा", "ऑपरेशन के बाद", "KPS 70"),
        H: ("उच्च रक्तचाप", "एलर्जी नहीं"),
    },
)

SHORTHAND = Case(
    Patient(patient_id="RT/2021/556", name="Okonkwo^Thaddeus", birth_date="19550730"),
    "shorthand",
    {
        D: ("rim-enhancing SOL", "Histology GBM", "progressive disease"),
        S: ("Stereotactic bx", "Deemed unresectable"),
        R: ("40 Gy/15# + TMZ", "Completed 40 Gy"),
        C: ("dex 16 mg/d", "40 Gy/15# + TMZ", "TMZ stopped after C2", "Dex now 4 mg", "Started bevacizumab"),
        Y: (
            "progressive L leg weakness",
            "No LOC, no fits",
            "personality change",
            "GCS 15, L hemiparesis",
            "Increasing L arm",
            "ECOG 3",
        ),
        H: ("HTN, AF on apixaban", "NKDA", "Ex-smoker"),
    },
)

MIXED = Case(
    Patient(patient_id="MM-20394", name="Rao^Keshav", birth_date="19900611"),
    "mixed",
    {
        D: ("expansile T2-bright lesion", "diffuse midline glioma", "रसौली का आकार"),
        S: ("image-guided needle biopsy", "after the procedure"),
        R: ("विकिरण चिकित्सा",),
        C: ("methylprednisolone for three", "स्टेरॉयड की मात्रा"),
        Y: ("double vision and clumsiness", "numbness around", "transient facial weakness", "चक्कर आते"),
        H: ("no\nchronic illness", "childhood tuberculosis", "father died", "मधुमेह नहीं"),
    },
)

DICTATED = Case(
    Patient(patient_id="55120987", name="Marchetti^Lorraine", birth_date="19720418"),
    "dictated",
    {
        D: (
            "heterogeneously enhancing mass",
            "PREOPERATIVE DIAGNOSIS",
            "high-grade glioma on frozen",
            "Final pathology was",
            "new nodular",
        ),
        S: ("Right parietal craniotomy with", "deliberately left behind"),
        R: ("six weeks of radiation",),
        C: (
            "Decadron 4 mg every six",
            "six weeks of radiation with daily Temodar",
            "fifth cycle of maintenance",
            "Decadron was discontinued",
        ),
        Y: (
            "Left-sided clumsiness",
            "dropping objects",
            "daily headaches that wake",
            "denies\nloss of consciousness",
            "Her left hand\nstrength",
        ),
        H: ("Hypothyroidism", "Cesarean section", "Sulfa drugs", "never used tobacco", "Father with prostate"),
    },
)

TABLES = Case(
    Patient(patient_id="CR-900417", name="Bhattacharya^Anil", birth_date="19480226"),
    "tables",
    {
        D: ("Recurrent meningioma", "Atypical meningioma"),
        S: ("Redo left pterional", "First operated elsewhere"),
        R: ("adjuvant fractionated RT", "रेडियोथेरेपी 30"),
        C: ("Tab Dexona",),
        Y: ("Decreased vision", "Vision same as", "थकान और हल्का", "कम दिखाई", "दौरा नहीं"),
        H: ("DM2 on insulin", "शुगर काबू"),
    },
)

TUNED_ON = (LETTERS, LISTS, HINDI, SHORTHAND, MIXED)
HELD_OUT = (DICTATED, TABLES)
