# The report in English. `$x` is an argument in words, `$x-key` its key in the glossary.
cldr-locale = en_GB
unit-locale = en
unit-length = short
unit-mm2 = { $number } mm²
unit-year = { $number } { $value ->
    [one] year
   *[other] years
}
unit-degree = { $number } { $value ->
    [one] degree
   *[other] degrees
}
language-name = English

## Glossary

region-WT = whole tumour
region-TC = tumour core
region-ET = enhancing tumour
region-NCR = necrotic or non-enhancing core
region-ED = peritumoral oedema
side-left = on the left
side-right = on the right
side-both = on both sides
side-midline = in the midline
side-unknown = side not known
lobe-frontal = frontal lobe
lobe-parietal = parietal lobe
lobe-temporal = temporal lobe
lobe-occipital = occipital lobe
lobe-insula = insula
lobe-deep = deep grey and white matter
lobe-cerebellum = cerebellum
lobe-brainstem = brainstem
sequence-t1 = T1
sequence-t1ce = T1ce
sequence-t2 = T2
sequence-flair = FLAIR
sex-M = man
sex-F = woman
topic-diagnosis = Diagnosis
topic-surgery = Surgery
topic-radiotherapy = Radiotherapy
topic-drugs = Drugs
topic-symptoms = Symptoms
topic-history = History
response-CR = complete response (CR)
response-PR = partial response (PR)
response-MR = minor response (MR)
response-SD = stable disease (SD)
response-PD = progressive disease (PD)
response-not-assessable = not assessable
input-clinical-status = clinical status
input-corticosteroid-dose = corticosteroid dose
input-corticosteroid-dose-at-baseline = corticosteroid dose at baseline
input-end-of-radiotherapy = end of radiotherapy
input-baseline-scan = date of the baseline scan

## Sections

section-clinical-information = Clinical information
section-technique = Technique
section-comparison = Comparison
section-findings = Findings
section-impression = Impression
section-diagnosis = Diagnosis
section-recommendations = Recommendations
section-limitations = Limitations

## Clinical information

patient-age-sex = { $sex }, { $age } old.
request-reason = Reason for the study as given by the referrer: “{ $reason }”.
note-sentence = { $topic }: “{ $text }” ({ $where })
no-clinical-information = No clinical information was given.

## Technique

sequences-used = { $count ->
    [one] ⟦one MR sequence⟧ was used: ⟦~{ $sequences }⟧.
   *[other] ⟦{ $count-text } MR sequences⟧ were used: ⟦~{ $sequences }⟧.
}
sequences-missing = ⟦~{ $sequences } { $count ->
    [one] was
   *[other] were
} not available⟧; ⟦~the mask is less reliable without { $count ->
    [one] it
   *[other] them
}⟧.
aligned-same-grid = ⟦~{ $sequences } arrived on the grid of { $reference }⟧; ⟦~no registration was needed⟧.
aligned-same-frame = ⟦~{ $sequences } agreed with { $reference } by { $count ->
    [one] its header
   *[other] their headers
}⟧, and ⟦~the images were checked⟧; ⟦~no registration was needed⟧.
aligned-rigid = ⟦{ $sequence }⟧ was ⟦+moved rigidly onto { $reference }, by { $shift } and { $turn }⟧.
mask-by-model = The mask was made by the model { $model }.
mask-by-person = The mask was drawn or corrected by a person.

## Comparison

no-prior = No earlier study was compared.
prior = Compared with the study of { $date }, { $days } earlier.
prior-without-date = Compared with an earlier study; a date is missing, so the interval is not known.
prior-alignment = ⟦~the earlier study was aligned with this one⟧; ⟦~landmarks are expected to miss by { $error }⟧.

## Findings

no-region = ⟦no { $region }⟧ was ⟦+segmented⟧.
volume-of = The ⟦{ $region }⟧ has ⟦+{ $volume } by voxel count⟧ and ⟦+{ $simpson } by Simpson's rule⟧.
place-of = The ⟦{ $region }⟧ lies ⟦~{ $side }⟧.
place-of-lobe = The ⟦{ $region }⟧ lies ⟦~{ $side }⟧, the ⟦+largest share ({ $share }) in the { $lobe }⟧.
diameters-of = The ⟦{ $region }⟧ has a ⟦+longest axial diameter of { $longest }⟧ and a ⟦+longest perpendicular of { $perpendicular }⟧ (⟦product { $product }⟧, ⟦slice { $slice-text }⟧).
lesion-count = ⟦{ $count-text } separate lesions⟧ were ⟦+segmented⟧.
lesion = ⟦lesion { $number-text }⟧: ⟦+whole tumour { $wt }⟧, ⟦+enhancing tumour { $et }⟧, ⟦~{ $side }⟧, ⟦+{ $longest } by { $perpendicular }⟧.
confidence = The ⟦mean probability inside the { $region }⟧ is ⟦+{ $share }⟧.
change-grown = The ⟦{ $region }⟧ has ⟦+grown by { $ml } ({ $percent })⟧, ⟦~from { $before } to { $now }⟧.
change-shrunk = The ⟦{ $region }⟧ has ⟦+shrunk by { $ml } ({ $percent })⟧, ⟦~from { $before } to { $now }⟧.
change-grown-absolute = The ⟦{ $region }⟧ has ⟦+grown by { $ml }⟧, ⟦~from { $before } to { $now }⟧.
change-shrunk-absolute = The ⟦{ $region }⟧ has ⟦+shrunk by { $ml }⟧, ⟦~from { $before } to { $now }⟧.
change-none = The ⟦{ $region }⟧ shows ⟦=no measurable change⟧, ⟦~from { $before } to { $now }⟧.
lesion-present = { $name } has { $now }.
lesion-new = { $name } is new, with { $now }.
lesion-returned = { $name } had gone and is there again, with { $now }.
lesion-grown = { $name } has grown from { $before } to { $now }.
lesion-shrunk = { $name } has shrunk from { $before } to { $now }.
lesion-split = { $name } has split off another lesion, with { $now } now.
lesion-merged = { $name } has merged with another lesion.
lesion-resolved = { $name } is no longer seen; it had { $before }.

## Impression

impression-no-tumour = No tumour was segmented.
impression-tumour = ⟦segmented tumour⟧ of ⟦+{ $volume }⟧.
impression-tumour-side = ⟦segmented tumour⟧ of ⟦+{ $volume }⟧ ⟦~{ $side }⟧.
impression-tumour-side-lobe = ⟦segmented tumour⟧ of ⟦+{ $volume }⟧ ⟦~{ $side }⟧, ⟦~mainly in the { $lobe }⟧.
impression-enhancement = The ⟦enhancing part⟧ has ⟦+{ $volume }⟧.
impression-no-enhancement = No enhancing part was segmented.
impression-new-lesions = { $count ->
    [one] There is ⟦one new lesion⟧.
   *[other] There are ⟦{ $count-text } new lesions⟧.
}
impression-response = The ⟦measurements⟧ meet ⟦+{ $category } of RANO 2.0⟧.
impression-response-open = The ⟦measurements⟧ meet ⟦+{ $category } of RANO 2.0, not confirmed⟧.

## Diagnosis

diagnosis-open = The measurements describe an intracranial lesion; they do not tell its type or grade.
diagnosis-nothing = Nothing was segmented; a lesion that the software did not recognise is not excluded.
diagnosis-by-people = This is an aid and not a verdict: the diagnosis is made by the physician and by histology.

## Recommendations

recommend-review = Check the contours on the images before using any number.
recommend-flags = { $count ->
    [one] ⟦~read the serious quality warning⟧ ⟦~before relying on the result⟧.
   *[other] ⟦~read the { $count-text } serious quality warnings⟧ ⟦~before relying on the result⟧.
}
recommend-sequences = ⟦~add { $sequences }⟧ ⟦~to the protocol of the next study⟧.
recommend-overlay = Check the overlay of every sequence that was moved.
recommend-confirmation = A further study after at least four weeks is needed to confirm the response category.
recommend-inputs = ⟦~give what the images do not show and the response category depends on⟧: ⟦+{ $inputs }⟧.

## Limitations

disclaimer = Research use only; not a medical device.
by-algorithm = The contours were made by an algorithm.
describes-mask = Volumes and diameters describe the mask.
axial-slices = Diameters are taken in axial slices { $spacing } apart.
lobes-approximate = Lobes are found by proportional scaling to an atlas and are approximate.
rigid-only = Rigid registration cannot undo deformation.

## The page

page-title = Brain tumour MRI report
page-patient = Patient
page-patient-id = Patient ID
page-birth-date = Birth date
page-sex = Sex
page-study-date = Study date
page-case = Case
page-nifti = NIfTI, without patient data
page-draft = Draft, version { $version }: not approved by a physician
page-final = Final, version { $version }: approved by { $who }, { $when }
page-research = Research use only. Not a medical device.
page-edited-alone = A person changed this section in { $names } only.
page-check = Check before relying on the result
page-measurements = Measurements
page-region = Region
page-prior = Prior
page-now = Now
page-change = Change
page-interval = 95 % interval
page-diameters = Diameters
page-place = Place
page-lesions = Lesions
page-trend = Volume over time
page-quality = Quality notes
page-more-notes = { $count ->
    [one] { $count } more note is in result.json.
   *[other] { $count } more notes are in result.json.
}
page-audit = History of this report
page-provenance = Provenance
page-made = Made { $when } by braintumor { $version }
page-none = none segmented
page-rano = RANO 2.0, measurement aid
