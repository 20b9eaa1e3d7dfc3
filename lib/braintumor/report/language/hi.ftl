# रिपोर्ट हिन्दी में। Written by the makers of this software; not yet reviewed by a Hindi-speaking radiologist.
cldr-locale = hi
unit-locale = hi
unit-length = narrow
unit-mm2 = { $number } मिमी²
unit-day = { $number } दिन
unit-year = { $number } वर्ष
unit-degree = { $number } अंश
unit-percent = { $number }%
language-name = हिन्दी

## Glossary: neuroradiology terms as Indian radiologists say them, the English term where the Hindi one is unusual

region-WT = सम्पूर्ण ट्यूमर
    .gender = masculine
region-TC = ट्यूमर कोर
    .gender = masculine
region-ET = कंट्रास्ट-वर्धित ट्यूमर
    .gender = masculine
region-NCR = नेक्रोटिक या अवर्धित कोर
    .gender = masculine
region-ED = ट्यूमर के चारों ओर की सूजन (एडीमा)
    .gender = feminine
side-left = बाईं ओर
side-right = दाईं ओर
side-both = दोनों ओर
side-midline = मध्यरेखा में
side-unknown = पक्ष अज्ञात
lobe-frontal = फ्रंटल लोब
lobe-parietal = पैराइटल लोब
lobe-temporal = टेम्पोरल लोब
lobe-occipital = ऑक्सिपिटल लोब
lobe-insula = इन्सुला
lobe-deep = गहरे धूसर एवं श्वेत द्रव्य
lobe-cerebellum = अनुमस्तिष्क (सेरिबेलम)
lobe-brainstem = मस्तिष्क-स्तंभ (ब्रेनस्टेम)
sequence-t1 = T1
sequence-t1ce = T1ce
sequence-t2 = T2
sequence-flair = FLAIR
sex-M = पुरुष
sex-F = महिला
topic-diagnosis = निदान
topic-surgery = शल्यक्रिया
topic-radiotherapy = रेडियोथेरेपी
topic-drugs = औषधियाँ
topic-symptoms = लक्षण
topic-history = पूर्व रोग
response-CR = पूर्ण प्रतिक्रिया (CR)
response-PR = आंशिक प्रतिक्रिया (PR)
response-MR = अल्प प्रतिक्रिया (MR)
response-SD = स्थिर रोग (SD)
response-PD = रोग की प्रगति (PD)
response-not-assessable = मूल्यांकन संभव नहीं
input-clinical-status = नैदानिक स्थिति
input-corticosteroid-dose = कॉर्टिकोस्टेरॉइड की मात्रा
input-corticosteroid-dose-at-baseline = आधार जाँच के समय कॉर्टिकोस्टेरॉइड की मात्रा
input-end-of-radiotherapy = रेडियोथेरेपी की समाप्ति
input-baseline-scan = आधार जाँच की तिथि

## Sections

section-clinical-information = नैदानिक जानकारी
section-technique = तकनीक
section-comparison = तुलना
section-findings = निष्कर्ष
section-impression = सार
section-diagnosis = निदान
section-recommendations = सुझाव
section-limitations = सीमाएँ

## Clinical information

patient-age-sex = { $sex }, आयु { $age }।
request-reason = जाँच का कारण, भेजने वाले चिकित्सक के शब्दों में: “{ $reason }”।
note-sentence = { $topic }: “{ $text }” ({ $where })
no-clinical-information = कोई नैदानिक जानकारी नहीं दी गई।

## Technique

sequences-used = { $count ->
    [1] ⟦एक MR सीक्वेंस⟧ का उपयोग किया गया: ⟦~{ $sequences }⟧।
   *[other] ⟦{ $count-text } MR सीक्वेंस⟧ का उपयोग किया गया: ⟦~{ $sequences }⟧।
}
sequences-missing = ⟦~{ $sequences } उपलब्ध नहीं { $count ->
    [1] था
   *[other] थे
}⟧; ⟦~इसके बिना मास्क कम विश्वसनीय है⟧।
aligned-same-grid = ⟦~{ $sequences } पहले से { $reference } के ग्रिड पर { $count ->
    [1] था
   *[other] थे
}⟧; ⟦~रजिस्ट्रेशन की आवश्यकता नहीं थी⟧।
aligned-same-frame = ⟦~{ $sequences } के हेडर { $reference } से मेल खाते थे⟧ और ⟦~छवियाँ जाँची गईं⟧; ⟦~रजिस्ट्रेशन की आवश्यकता नहीं थी⟧।
aligned-rigid = ⟦{ $sequence } को { $reference } पर⟧ ⟦~{ $shift } और { $turn } से⟧ ⟦~दृढ़ रूप से मिलाया गया⟧।
mask-by-model = मास्क मॉडल { $model } ने बनाया।
mask-by-person = मास्क किसी व्यक्ति ने बनाया या सुधारा।

## Comparison

no-prior = किसी पिछली जाँच से तुलना नहीं की गई।
prior = { $days } पहले की, { $date } की जाँच से तुलना की गई।
prior-without-date = एक पिछली जाँच से तुलना की गई; तिथि नहीं है, इसलिए अंतराल ज्ञात नहीं।
prior-alignment = ⟦~पिछली जाँच को इस जाँच से मिलाया गया⟧; ⟦~अपेक्षित त्रुटि { $error }⟧ है।

## Findings

no-region = ⟦{ $region } नहीं { $region-gender ->
    [feminine] मिली
   *[masculine] मिला
}⟧।
volume-of = ⟦{ $region }⟧ का आयतन ⟦+वोक्सेल गणना से { $volume }⟧ और ⟦+सिम्पसन नियम से { $simpson }⟧ है।
place-of = ⟦{ $region }⟧ ⟦~{ $side }⟧ है।
place-of-lobe = ⟦{ $region }⟧ ⟦~{ $side }⟧ है, ⟦+सबसे बड़ा भाग ({ $share }) { $lobe } में⟧ है।
diameters-of = ⟦{ $region }⟧ का ⟦+सबसे लंबा अक्षीय व्यास { $longest }⟧ और ⟦+उसके लंबवत सबसे लंबा व्यास { $perpendicular }⟧ है (⟦गुणनफल { $product }⟧, ⟦स्लाइस { $slice-text }⟧)।
lesion-count = ⟦{ $count-text } अलग-अलग घाव (लीज़न)⟧ ⟦+मिले⟧।
lesion = ⟦घाव { $number-text }⟧: ⟦+सम्पूर्ण ट्यूमर { $wt }⟧, ⟦+कंट्रास्ट-वर्धित ट्यूमर { $et }⟧, ⟦~{ $side }⟧, ⟦+{ $longest } गुणा { $perpendicular }⟧।
confidence = ⟦{ $region } के भीतर औसत प्रायिकता⟧ ⟦+{ $share }⟧ है।
change-grown = ⟦{ $region }⟧ ⟦~{ $before } से { $now }⟧, अर्थात ⟦+{ $ml } ({ $percent }) { $region-gender ->
    [feminine] बढ़ी है
   *[masculine] बढ़ा है
}⟧।
change-shrunk = ⟦{ $region }⟧ ⟦~{ $before } से { $now }⟧, अर्थात ⟦+{ $ml } ({ $percent }) { $region-gender ->
    [feminine] घटी है
   *[masculine] घटा है
}⟧।
change-grown-absolute = ⟦{ $region }⟧ ⟦~{ $before } से { $now }⟧, अर्थात ⟦+{ $ml } { $region-gender ->
    [feminine] बढ़ी है
   *[masculine] बढ़ा है
}⟧।
change-shrunk-absolute = ⟦{ $region }⟧ ⟦~{ $before } से { $now }⟧, अर्थात ⟦+{ $ml } { $region-gender ->
    [feminine] घटी है
   *[masculine] घटा है
}⟧।
change-none = ⟦{ $region }⟧ में ⟦+कोई मापने योग्य परिवर्तन नहीं है⟧, ⟦~{ $before } से { $now }⟧।
lesion-present = { $name }: { $now }।
lesion-new = { $name } नया है, आयतन { $now }।
lesion-returned = { $name } लुप्त होने के बाद फिर से है, आयतन { $now }।
lesion-grown = { $name } { $before } से { $now } तक बढ़ा है।
lesion-shrunk = { $name } { $before } से { $now } तक घटा है।
lesion-split = { $name } से एक अन्य घाव अलग हुआ है, अब आयतन { $now }।
lesion-merged = { $name } एक अन्य घाव से मिल गया है।
lesion-resolved = { $name } अब नहीं दिखता; पहले { $before } था।

## Impression

impression-no-tumour = कोई ट्यूमर नहीं मिला।
impression-tumour = ⟦~{ $volume }⟧ का ⟦ट्यूमर⟧ ⟦+मिला⟧।
impression-tumour-side = ⟦~{ $side }⟧ ⟦~{ $volume }⟧ का ⟦ट्यूमर⟧ ⟦+मिला⟧।
impression-tumour-side-lobe = ⟦~{ $side }⟧ ⟦~{ $volume }⟧ का ⟦ट्यूमर⟧ ⟦+मिला⟧, ⟦~मुख्यतः { $lobe } में⟧।
impression-enhancement = ⟦कंट्रास्ट-वर्धित भाग⟧ ⟦+{ $volume }⟧ है।
impression-no-enhancement = कोई कंट्रास्ट-वर्धित भाग नहीं मिला।
impression-new-lesions = { $count ->
    [1] ⟦एक नया घाव⟧ है।
   *[other] ⟦{ $count-text } नए घाव⟧ हैं।
}
impression-response = ⟦माप⟧ ⟦+RANO 2.0 की श्रेणी “{ $category }”⟧ के अनुरूप हैं।
impression-response-open = ⟦माप⟧ ⟦+RANO 2.0 की श्रेणी “{ $category }” के अनुरूप हैं, पुष्टि नहीं हुई⟧।

## Diagnosis

diagnosis-open = माप एक अंतःकपालीय घाव का वर्णन करते हैं; वे उसका प्रकार या ग्रेड नहीं बताते।
diagnosis-nothing = कुछ नहीं मिला; ऐसा घाव जिसे सॉफ़्टवेयर न पहचान सका हो, इससे नकारा नहीं जाता।
diagnosis-by-people = यह केवल सहायता है, निर्णय नहीं: निदान चिकित्सक और ऊतक-जाँच से होता है।

## Recommendations

recommend-review = किसी भी संख्या का उपयोग करने से पहले छवियों पर सीमारेखाएँ जाँचें।
recommend-flags = { $count ->
    [1] ⟦~परिणाम पर भरोसा करने से पहले⟧ ⟦गुणवत्ता की गंभीर चेतावनी पढ़ें⟧।
   *[other] ⟦~परिणाम पर भरोसा करने से पहले⟧ ⟦गुणवत्ता की { $count-text } गंभीर चेतावनियाँ पढ़ें⟧।
}
recommend-sequences = ⟦~अगली जाँच के प्रोटोकॉल में⟧ ⟦{ $sequences } जोड़ें⟧।
recommend-overlay = मिलाए गए हर सीक्वेंस का ओवरले जाँचें।
recommend-confirmation = प्रतिक्रिया की श्रेणी की पुष्टि के लिए कम से कम चार सप्ताह बाद एक और जाँच आवश्यक है।
recommend-inputs = ⟦जो छवियों में नहीं दिखता और जिस पर श्रेणी निर्भर है, वह बताएँ⟧: ⟦+{ $inputs }⟧।

## Limitations

disclaimer = केवल अनुसंधान के लिए; यह चिकित्सा उपकरण नहीं है।
by-algorithm = सीमारेखाएँ एक एल्गोरिद्म ने बनाई हैं।
describes-mask = आयतन और व्यास मास्क का वर्णन करते हैं।
axial-slices = व्यास { $spacing } दूर की अक्षीय स्लाइसों में लिए गए हैं।
lobes-approximate = लोब एटलस से आनुपातिक मिलान द्वारा तय किए गए हैं और अनुमानित हैं।
rigid-only = दृढ़ रजिस्ट्रेशन विकृति को नहीं हटा सकता।

## The page

page-title = मस्तिष्क ट्यूमर MRI रिपोर्ट
page-patient = रोगी
page-patient-id = रोगी संख्या
page-birth-date = जन्म तिथि
page-sex = लिंग
page-study-date = जाँच की तिथि
page-case = केस
page-nifti = NIfTI, रोगी की जानकारी नहीं
page-draft = प्रारूप, संस्करण { $version }: चिकित्सक द्वारा स्वीकृत नहीं
page-final = अंतिम, संस्करण { $version }: { $who } द्वारा { $when } को स्वीकृत
page-research = केवल अनुसंधान के लिए। चिकित्सा उपकरण नहीं।
page-edited-alone = किसी व्यक्ति ने यह भाग केवल { $names } में बदला है।
page-check = परिणाम पर भरोसा करने से पहले जाँचें
page-measurements = माप
page-region = भाग
page-prior = पहले
page-now = अब
page-change = परिवर्तन
page-interval = 95 % अंतराल
page-diameters = व्यास
page-place = स्थान
page-lesions = घाव
page-trend = समय के साथ आयतन
page-quality = गुणवत्ता संबंधी टिप्पणियाँ
page-more-notes = { $count } और { $count ->
    [1] टिप्पणी result.json में है।
   *[other] टिप्पणियाँ result.json में हैं।
}
page-provenance = उद्गम
page-audit = इस रिपोर्ट का इतिहास
page-made = braintumor { $version } द्वारा { $when } को बनाई गई
page-none = नहीं मिला
page-rano = RANO 2.0, माप में सहायता
