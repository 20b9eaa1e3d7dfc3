# Messages of the quality flags in English: one for each code of flag_table.py, with exactly the arguments it names there.
# `$numbers-count` is how many `$numbers` are. The messages before the first heading are parts of others.
of-visit = Visit { $visit }: { $message }
about-notes = { $numbers-count ->
    [one] Note
   *[other] Notes
} { $numbers }{ $more ->
    [0] {""}
   *[other] {" "}and { $more } more
} of { $total } (in order of file names)
about-files = { $count ->
    [one] { $count } file
   *[other] { $count } files
} among the notes

## Reading a study

missing-sequence = { $sequence } is missing: { $sequence ->
    [T1] blood and fat may be mistaken for enhancement
    [T1ce] enhancing tumour cannot be seen, so its extent and the tumour core are a guess
    [T2] the borders of oedema and cysts are less certain
   *[FLAIR] oedema is hard to tell from fluid, so the whole tumour is less certain
}.
series-preferred = For { $sequence }, { $taken } was preferred to { $other }: it { $reason ->
    [original] is an original, not a derived image
    [certain] is more certain
    [coverage] covers more of the head
    [spacing] has clearly finer slices
    [distortion] is corrected for distortion
   *[axial] is axial
}.
sequence-uncertain = { $series } was taken for { $sequence } with confidence { $confidence } only.
sequence-by-pixels = No header says which T1 is with contrast agent; by its pixels it is { $series }. Check, or name it.
contrast-unknown = Nothing says whether contrast agent was given for { $series }; taken as T1 without. If it was, name it as T1ce.
duplicate-files = { $count ->
    [one] { $count } file was an exact copy of another and left out.
   *[other] { $count } files were exact copies of others and left out.
}
lossy-compression = { $series } was compressed with loss before it was stored.
channel-order-assumed = Files are named by nnU-Net channel number and no dataset.json says what the channels are; 0000 to 0003 were taken as T1, T1ce, T2, FLAIR.
nifti-affines-disagree = sform and qform of { $file } disagree by up to { $apart_mm } mm; the sform was used.

## Preparing it

header-position-unused = { $sequence } lies elsewhere by its header; it was brought to the reference by its content alone.
poor-registration = { $sequence } agrees poorly with the reference after alignment ({ $agreement }); check the overlay.
partial-coverage = { $sequence } shows only { $percent }% of the brain; the rest was segmented without it.
brain-without-t1 = The brain was outlined on { $sequence }, for which the outline was not made; check its edge.
implausible-brain = The brain outline measures { $volume_ml } mL, which is implausible; the field of view may cut the brain.

## Segmenting it

served-model-fallback = The shipped model { $version } is served instead of the one chosen: { $problem }. Choose a version again.
uncertain-mask = The model is unsure of the tumour's outline (mean probability { $probability } inside it); check the mask.
faint-enhancement = The model saw enhancement in { $volume_ml } mL only, too little to tell from noise or a vessel; it is counted as core that does not enhance. Look at the contrast-enhanced images.
label-lost = { $label ->
    [NCR] Necrotic or non-enhancing core
    [ED] Peritumoral oedema
   *[ET] Enhancing tumour
} ({ $volume_ml } mL) is missing from the mask on the grid of { $spacing_mm } mm: it is too small for those voxels, or outside that field of view.
unknown-segment = Segment { $number } is none of the tumour labels and was left out.
overlapping-segments = { $voxels ->
    [one] { $voxels } voxel belongs to more than one segment; the later label of the table was taken.
   *[other] { $voxels } voxels belong to more than one segment; the later label of the table was taken.
}
mask-of-one-value = The mask holds no value but 1, which means necrotic or non-enhancing core: oedema and enhancing tumour are 0 mL.

## Measuring it

no-tumour = No voxel was segmented as tumour.
touches-border = The tumour reaches the edge of the imaged volume, so part of it may be missing from every measurement.
thick-slices = Slices are { $spacing_mm } mm apart; volumes and diameters are less precise than with { $limit_mm } mm or less.
small-components = { $count ->
    [one] { $count } separate speck
   *[other] { $count } separate specks
} of less than { $limit_ml } mL ({ $volume_ml } mL in all) counted in the volumes, not as lesions.
no-brain-mask = No usable brain mask, so side and lobe of the tumour are not given.
poor-brain-match = The brain mask does not have the size and shape of a brain ({ $error_mm } mm off the standard one), so side and lobe of the tumour are not given.

## Comparing visits

different-patients = The visits belong to different patients, by their patient IDs; compared all the same, as asked.
patient-not-checked = Not every visit names its patient, so it was not checked that all are of one.
no-dates = A date is missing: the order is as named, and no growth rate, doubling time or RANO category is given.
order-by-date = The visit named as current is not the latest by date; the latest was taken as the current one.
same-date = Two visits have the same date: no growth rate between them, and no RANO category.
no-contrast = There is no T1ce, so enhancing tumour cannot be seen and no RANO category rests on it.
empty-mask = No tumour was segmented.
other-sequences = The visits were not imaged with the same sequences, which alone can change the masks.
prior-not-dicom = Visit { $number } did not come as DICOM: its image and its registration were not written into the current study.
prior-patient-not-checked = It is not known whether visit { $number } is of the current study's patient: its image and its registration were not written into the current study.
prior-of-other-patient = Visit { $number } has another patient ID than the current study: its image and its registration were not written into the current study.

## The order and the patient's notes

order-not-found = The order of the study was not found, so its reason may be missing: { $problem }.
no-notes-read = None of the notes could be used; the other flags say why.
note-too-large = { about-notes }: larger than the limit, not read.
notes-too-large = { about-notes }: not read, because all notes together are larger than the limit.
too-many-notes = { about-notes }: not read, because there are more notes than the limit.
note-unreadable = { about-notes }: cannot be opened, or is not an ordinary file.
link-outside = { about-notes }: a symbolic link that leads out of its folder, not followed.
note-not-text = { about-notes }: named as text, but its content is not text; not read.
note-empty = { about-notes }: empty.
encoding-guessed = { about-notes }: neither UTF-8 nor marked as UTF-16; its letters were decoded by the likeliest old encoding.
pdf-damaged = { about-notes }: a PDF that cannot be read, because it is damaged.
pdf-encrypted = { about-notes }: a PDF that cannot be read without its password.
pdf-too-costly = { about-notes }: a PDF that takes more time or memory than allowed, not read.
pdf-without-text = { about-notes }: a PDF without text, such as a scan; it was not read and needs a person, or text recognition.
pdf-partly-scanned = { about-notes }: a PDF with some pages that hold pictures and no text; those were not read.
pdf-cut = { about-notes }: a PDF longer than the limit, read in part only.
notes-of-other-patient = { about-notes }: names another patient than the study does; left out.
patient-unconfirmed = { about-notes }: does not say whose it is in a way that can be compared with the study; taken as this patient's.
instruction-in-notes = { about-notes }: holds text that speaks to a computer instead of about a patient; that paragraph was left out; read the note itself.
hidden-characters = { about-notes }: holds sentences with characters that make text look different from what it is; left out.
notes-by-keyword-only = { about-notes }: wholly or partly not in English; such sentences are found by keywords only, so more may be missed.
notes-too-long = { about-notes }: longer than is compared by meaning; the rest of it was searched by keywords only.
hidden-files = { about-files }: hidden, not read.
note-type-unknown = { about-files }: neither .txt, .md nor .pdf, not read.
folder-unreadable = { about-files }: in folders that cannot be opened, or links to folders outside; not read.
