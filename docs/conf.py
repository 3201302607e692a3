"""Settings of the documentation: ``make docs`` builds it into build/docs, with warnings as errors."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent / "_extensions")]

import inferno_cuda  # noqa: E402, found through the line above

project = "inferno_cuda"
author = "the authors of inferno_cuda"
release = version = inferno_cuda.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "names",
]
exclude_patterns = ["_extensions"]
html_theme = "furo"
html_title = f"inferno_cuda {version}"
html_copy_source = False

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

default_role = "code"
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
# The docstrings have the sections Args, Returns, Raises, Attributes and Example.
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

nitpicky = True
# What is documented elsewhere: looking it up would take a network.
nitpick_ignore_regex = [
    ("py:.*", rf"(torch|nn|numpy|{'|'.join(sys.stdlib_module_names)})(\..*)?"),
    ("py:(class|obj)", r".*\.[KT]"),  # type variables
]
