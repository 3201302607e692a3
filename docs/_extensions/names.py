"""The directive ``names``: a table of the names listed in it, and below it the documentation of each.

    ```{names} inferno_cuda.ops
    neuron_step_
    ```

Option ``inherited``: classes also show what they inherit, but for what comes from ``torch.nn.Module``.
"""

import inspect
from importlib import import_module

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


class Names(SphinxDirective):
    """See the module."""

    has_content = True
    required_arguments = 1
    option_spec = {"inherited": directives.flag}

    def run(self):
        module, names = self.arguments[0], [name for name in self.content if name]
        # Only a parser of reStructuredText knows what the generated directives mean.
        lines = ["```{eval-rst}", f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names]
        for name in names:
            lines += ["", *entry(getattr(import_module(module), name), name, "inherited" in self.options)]
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))


def entry(value, name, inherited):
    """The lines that document an object."""
    if not inspect.isclass(value):
        return [f".. {'autofunction' if callable(value) else 'autodata'}:: {name}"]
    # The docstring of a tuple describes its fields; what a field has by itself is its number.
    hidden = ["extra_repr", *getattr(value, "_fields", ())]
    lines = [f".. autoclass:: {name}", "   :members:", f"   :exclude-members: {', '.join(hidden)}"]
    if list(public(value.__bases__)) != [object]:
        lines.append("   :show-inheritance:")
    return [*lines, "   :inherited-members: Module"] if inherited else lines


def public(bases):
    """The classes that a reader can look up: those in private modules give way to what they inherit from."""
    for base in bases:
        private = any(part.startswith("_") for part in f"{base.__module__}.{base.__qualname__}".split("."))
        yield from public(base.__bases__) if private and base is not object else [base]


def show_public_bases(app, name, obj, options, bases):
    """Handler of ``autodoc-process-bases``."""
    if all(isinstance(base, type) for base in bases):
        bases[:] = dict.fromkeys(public(bases))


def setup(app):
    app.add_directive("names", Names)
    app.connect("autodoc-process-bases", show_public_bases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
