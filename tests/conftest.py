"""For all tests."""

import os

os.environ["VIRTLAB_LANG"] = "en"  # tests read English, whatever whoever runs them speaks
