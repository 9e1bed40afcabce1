"""Sentences of templates, said when a template is compiled and not each time it is shown: an environment has one
language, so `_("...")` is a constant, and `{% trans %}` is constants with values between. It is most of a page's time.

What cannot be known before (plurals, `_` of something else) is left to Jinja's own i18n extension.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import Environment, nodes
from jinja2.visitor import NodeTransformer

from .language import Language

__all__ = ["SaidEnvironment"]

GETTEXT = ("_", "gettext")
PLACE = re.compile(r"%\((\w+)\)s|%%")  # where a value goes, or a percent sign that is one


class SaidEnvironment(Environment):
    """Templates in one language, which is set before the first of them is compiled."""

    said_in: Language

    def _generate(self, source: nodes.Template, *args: object, **kwargs: object) -> str:
        """The hook that Jinja has for what is to be done with a parsed template."""
        Folding(self.said_in).visit(source)
        return super()._generate(source, *args, **kwargs)  # type: ignore[arg-type]


class Folding(NodeTransformer):
    def __init__(self, language: Language) -> None:
        self.language = language

    def visit_Output(self, node: nodes.Output) -> nodes.Output:
        """A sentence with values becomes its pieces and the values, each escaped as any other."""
        node.nodes = [piece for child in node.nodes for piece in self.pieces(child)]
        self.generic_visit(node)
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        text = self.sentence(node)
        if text is None or node.kwargs:
            return node
        return nodes.MarkSafe(nodes.Const(text.replace("%%", "%"), lineno=node.lineno), lineno=node.lineno)

    def pieces(self, node: nodes.Expr) -> Iterator[nodes.Expr]:
        text = self.sentence(node)
        if text is None or not isinstance(node, nodes.Call) or not node.kwargs:
            yield node
            return
        values = {keyword.key: keyword.value for keyword in node.kwargs}
        end = 0
        for place in PLACE.finditer(text):
            yield nodes.TemplateData(text[end : place.start()], lineno=node.lineno)
            end = place.end()
            yield values[place[1]] if place[1] else nodes.TemplateData("%", lineno=node.lineno)
        yield nodes.TemplateData(text[end:], lineno=node.lineno)

    def sentence(self, node: nodes.Expr) -> str | None:
        """What a call says that is a sentence of the catalogue; None: it is something else."""
        if not (isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in GETTEXT):
            return None
        if len(node.args) != 1 or not isinstance(node.args[0], nodes.Const) or node.dyn_args or node.dyn_kwargs:
            return None
        return self.language.gettext(node.args[0].value)
