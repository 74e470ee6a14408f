"""TOML files that ship with the package and are asked for by name: recipes and suites."""

from importlib import resources

from thresher.errors import UsageError, nearest


def names(package: str) -> list[str]:
    """The stems of a package's TOML files, sorted.

    Example:
        >>> "elr-cifar10-sym40" in names("thresher.recipes")
        True
    """
    files = resources.files(package).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def text(package: str, name: str, what: str) -> str:
    """A file as it is.

    Args:
        package: its folder.
        name: its stem.
        what: it is called in the message.

    Raises:
        UsageError: there is no such file; the sentence names the nearest ones.

    Example:
        >>> text("thresher.recipes", "elr-cifar10-sym40", "recipe").splitlines()[1]
        'method = "elr"'
    """
    known = names(package)
    if name not in known:
        raise UsageError(f"there is no {what} {name!r}: {nearest(name, known)}")
    return (resources.files(package) / f"{name}.toml").read_text(encoding="utf-8")
