import sys

from virtlab.cli import main

sys.exit(main())
