"""Reads CloudFormation templates, and renders them as CloudFormation would: conditions, references, substitutions.

What only AWS knows (ids, names, ARNs of what a stack makes) becomes text that says what it stands for.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PATH = Path(__file__).resolve().parents[1] / "cloudformation" / "atelier.yaml"

# The largest template that CloudFormation takes with a call.
BYTES_MAX = 51_200

Template = dict[str, Any]

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/studio/1",
    "AWS::StackName": "studio",
    "AWS::URLSuffix": "amazonaws.com",
}

_NOTHING = object()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, which become their long ones."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.SequenceNode):
        value: Any = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def load() -> Template:
    """The template with long forms alone: one for all, so whoever changes it changes a copy."""
    return yaml.load(PATH.read_text(), Loader=_Loader)


class Rendering:
    """A template with its parameters filled in."""

    def __init__(self, template: Template, parameters: dict[str, str]) -> None:
        self.template = template
        self.values = dict(PSEUDO)
        for name, parameter in template["Parameters"].items():
            if name in parameters:
                self.values[name] = parameters[name]
            elif "Default" in parameter:
                self.values[name] = str(parameter["Default"])
            else:
                raise ValueError(f"the parameter {name} has no default and was not given")

    def refusals(self) -> list[str]:
        """What the template's rules say against these parameters."""
        return [
            assertion["AssertDescription"]
            for rule in self.template.get("Rules", {}).values()
            if self.holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
            for assertion in rule["Assertions"]
            if not self.holds(assertion["Assert"])
        ]

    def holds(self, condition: dict[str, Any]) -> bool:
        """Whether a condition is met."""
        ((function, value),) = condition.items()
        match function:
            case "Condition":
                return self.holds(self.template["Conditions"][value])
            case "Fn::Equals":
                left, right = (self.render(side) for side in value)
                return bool(left == right)
            case "Fn::Not":
                return not self.holds(value[0])
            case "Fn::And":
                return all(self.holds(each) for each in value)
            case "Fn::Or":
                return any(self.holds(each) for each in value)
        raise ValueError(f"{function} is no condition")

    def resources(self) -> dict[str, dict[str, Any]]:
        """What is made with these parameters, with its properties rendered."""
        return {
            name: resource | {"Properties": self.render(resource.get("Properties", {}))}
            for name, resource in self.template["Resources"].items()
            if self.is_made(name)
        }

    def is_made(self, name: str) -> bool:
        condition = self.template["Resources"][name].get("Condition")
        return condition is None or self.holds({"Condition": condition})

    def outputs(self) -> dict[str, str]:
        return {name: self.render(output["Value"]) for name, output in self.template["Outputs"].items()}

    def render(self, node: Any) -> Any:
        """A part of the template as it comes to stand."""
        rendered = self._render(node)
        return None if rendered is _NOTHING else rendered

    def _render(self, node: Any) -> Any:
        if isinstance(node, list):
            return [item for item in map(self._render, node) if item is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, value),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, value)
        rendered = {key: self._render(value) for key, value in node.items()}
        return {key: value for key, value in rendered.items() if value is not _NOTHING}

    def _call(self, function: str, value: Any) -> Any:
        match function:
            case "Ref":
                return _NOTHING if value == "AWS::NoValue" else self._named(value)
            case "Fn::GetAtt":
                return self._named(value[0], value[1])
            case "Fn::If":
                return self._render(value[1] if self.holds({"Condition": value[0]}) else value[2])
            case "Fn::Sub":
                return self._substitute(*value) if isinstance(value, list) else self._substitute(value, {})
            case "Fn::Join":
                return value[0].join(self._render(value[1]))
            case "Fn::Split":
                return self._render(value[1]).split(value[0])
            case "Fn::Select":
                return self._render(value[1])[int(value[0])]
            case "Fn::GetAZs":
                return [f"{PSEUDO['AWS::Region']}{letter}" for letter in "abc"]
            # Left readable, because it is here to be read.
            case "Fn::Base64":
                return self._render(value)
        raise ValueError(f"{function} is not known here")

    def _named(self, name: str, attribute: str | None = None) -> str:
        if attribute is None and name in self.values:
            return self.values[name]
        if name not in self.template["Resources"]:
            raise ValueError(f"there is no {name}")
        if not self.is_made(name):
            raise ValueError(f"{name} is referred to, but not made with these parameters")
        kind = self.template["Resources"][name]["Type"]
        if attribute == "Arn" or (attribute is None and "ElasticLoadBalancingV2" in kind):
            place = name if "ElasticLoadBalancingV2" not in kind else f"{kind.rsplit('::')[-1].lower()}/net/{name}"
            return f"arn:aws:any:eu-central-1:123456789012:{place}"
        return "-".join(filter(None, ("the", name, attribute))).lower()

    def _substitute(self, text: str, mapping: dict[str, Any]) -> str:
        given = {name: self._render(value) for name, value in mapping.items()}

        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            return str(given[name]) if name in given else self._named(*name.split(".", 1))

        return re.sub(r"\$\{([^}]+)\}", one, text)
