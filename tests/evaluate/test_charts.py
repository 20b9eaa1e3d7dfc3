"""Charts: every case is there and readable, the same in SVG and PNG."""

from xml.etree import ElementTree as ET

import numpy as np

from braintumor.domain import Region
from braintumor.evaluate.calibration import Reliability
from braintumor.evaluate.charts import dice_chart, reliability_chart, spread
from braintumor.evaluate.summary import summarise
from braintumor.report.drawing import Drawing
from tests.evaluate.test_summary import result

SVG = "{http://www.w3.org/2000/svg}"


def test_dots_do_not_hide_each_other():
    heights = [50.0, 50.0, 50.0, 53.0, 90.0]
    shifts = spread(heights, 9.0)
    points = list(zip(shifts, heights, strict=True))
    for n, (x, y) in enumerate(points):
        assert all(np.hypot(x - a, y - b) >= 8.8 for a, b in points[n + 1 :])
    assert shifts[-1] == 0


def test_every_case_is_a_dot_with_its_name():
    results = [result("first & best", 10), result("b", 5), result("<c>", 0)]
    chart = dice_chart(results, summarise(results))
    hints = [t.text for t in ET.fromstring(chart.svg()).iter(f"{SVG}title")]
    assert len(hints) == 9
    assert "first & best: 1.000" in hints
    assert "<c>: 0.000" in hints
    assert chart.image().size == (1520, 800)


def test_one_case_and_none_with_a_value_are_drawn():
    results = [result("only", 10)]
    assert "n = 1" in dice_chart(results, summarise(results)).svg()


def test_reliability_shows_ece_and_leaves_empty_bins_out():
    histograms = {}
    for region in Region:
        histograms[region] = Reliability()
        histograms[region].add(np.array([0.1, 0.9, 0.9]), np.array([False, True, False]))
    circles = ET.fromstring(reliability_chart(histograms).svg()).findall(f"{SVG}circle")
    assert len(circles) == 2 * len(Region)
    assert f"ECE {histograms[Region.WT].ece:.4f}" in reliability_chart(histograms).svg()


def test_shapes_land_where_they_are_put():
    drawing = Drawing(40, 20, "test")
    drawing.box((10, 5, 20, 15), fill=(255, 0, 0))
    drawing.line([(30, 0), (30, 20)], (0, 0, 255), 2.0)
    drawing.line([(0, 18), (9, 18)], (0, 128, 0), 1.0, dashed=True)
    pixels = np.asarray(drawing.image())
    assert tuple(pixels[20, 30]) == (255, 0, 0)
    assert tuple(pixels[20, 60]) == (0, 0, 255)
    assert tuple(pixels[2, 2]) == (255, 255, 255)
