"""How the templates of pages are read, the same for every page."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_environment(package: str) -> Environment:
    """The templates of a package, which escape what they print and refuse a name they do not know.

    Args:
        package: Package whose folder `templates` holds them.
    """
    return Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
