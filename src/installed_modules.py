"""Let an Ansible module on this machine use the installed Ansible rather than the copy it carries.

A module arrives as a zip with all it imports, and Python compiles what it finds in a zip anew every time:
0.1 to 0.2 s of each task's 0.25 s. Run by the very .venv that Ansible itself runs from, the same sources lie
there, compiled. `.venv`'s virtlab.pth imports this when Python is about to run such a module, and nothing
else. What only the zip has (our own library/ and module_utils/) still comes from it.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder

FIRST = {  # package: where its parts are looked for before the zip
    "ansible": [place for place in sys.path if place.endswith("site-packages")],
    "ansible.module_utils": None,  # beside the package above
    "ansible_collections": [f"{sys.prefix}/collections"],
}


class Installed:
    """A finder for `sys.meta_path`."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in FIRST:
            return None
        spec = PathFinder.find_spec(name, FIRST[name] or path)  # type: ignore[arg-type]
        if spec is None or spec.submodule_search_locations is None:
            return None
        in_zip = f"{sys.path[0]}/{name.replace('.', '/')}"  # the module's wrapper put its zip first
        spec.submodule_search_locations = [*spec.submodule_search_locations, in_zip]
        return spec


sys.meta_path.insert(0, Installed)
