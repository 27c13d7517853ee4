"""SVG as a test reads it: parsed, and places taken from percent."""

from xml.etree import ElementTree as XML

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> XML.Element:
    """The root of a drawing; inlined ones have no namespace, as HTML gives it."""
    return XML.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))


def points(root: XML.Element) -> dict[str, tuple[float, float]]:
    """Where each size stands, in percent of the field, by its name."""
    return {
        one.attrib["data-size"]: (_percent(one.attrib["x"]), _percent(one.attrib["y"]))
        for one in root.iter("svg")
        if "data-size" in one.attrib
    }


def texts(root: XML.Element) -> list[str]:
    """Every line of text that is drawn."""
    return [one.text or "" for one in root.iter("text")]


def _percent(text: str) -> float:
    return float(text.removesuffix("%"))
