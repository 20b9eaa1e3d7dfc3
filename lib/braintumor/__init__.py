"""A brain MR study in; segmentation, measurements and report out.

    import braintumor as bt

    results = bt.run("study", "results")
    print(results.manifest["measurements"]["regions"]["WT"]["volume_ml"])

Everything is loaded when it is first used, so the import itself is quick.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
