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
            lines += ["", *self._entry(getattr(import_module(module), name), name)]
        return self.parse_text_to_nodes("\n".join([*lines, "```"]))

    def _entry(self, value, name):
        if not inspect.isclass(value):
            return [f".. {'autofunction' if callable(value) else 'autodata'}:: {name}"]
        entry = [f".. autoclass:: {name}", "   :members:", "   :exclude-members: extra_repr", "   :show-inheritance:"]
        return [*entry, "   :inherited-members: Module"] if "inherited" in self.options else entry


def setup(app):
    app.add_directive("names", Names)
    return {"parallel_read_safe": True}
