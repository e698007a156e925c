"""Filter classes: allowed, importable, filters, and given the options that they declare."""

import importlib
import re
import sys
from pathlib import Path as FilePath
from typing import Any

import msgspec
from pydantic import PydanticUserError

import tidegate
from tidegate.config.findings import Path, nearest
from tidegate.config.kinds import describe
from tidegate.config.options import declared, make, section_of
from tidegate.config.rules.references import check_names, check_secrets
from tidegate.config.rules.subject import Subject
from tidegate.config.schema import FilterUse
from tidegate.config.section import frozen
from tidegate.config.structure import shape

__all__ = ["EXPECTED_CLASS", "check_filters", "identifies"]

EXPECTED_CLASS = 'a class, written "package.module:Class"'
_SHIPPED = "tidegate.filters"
_TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def check_filters(subject: Subject, directory: FilePath) -> dict[str, FilterUse]:
    """The filters with all options filled in; what is wrong with a filter is a finding, and it is left out."""
    found = {}
    for name, use in subject.gateway.filters.items():
        path: Path = ("filters", name)
        cls = _load(subject, (*path, "class"), use.target)
        if cls is None:
            continue
        options = _options(subject, path, cls, use, directory)
        if options is not None:
            found[name] = FilterUse(target=use.target, options=options)
    return found


def identifies(subject: Subject, name: str) -> bool:
    """Whether the class of a filter, which has been looked at before, finds out whom requests are from."""
    use = subject.gateway.filters.get(name)
    if use is None:
        return False
    module_name, _, class_name = use.target.partition(":")
    cls = getattr(sys.modules.get(module_name), class_name, None)
    return getattr(cls, "identifies", False) is True


def _load(subject: Subject, path: Path, target: str) -> type | None:
    if _TARGET.fullmatch(target) is None:
        subject.find(path, f"expected {EXPECTED_CLASS}, got {describe(target)}")
        return None
    module_name, _, class_name = target.partition(":")
    allowed = (_SHIPPED, *subject.gateway.server.filter_packages)
    if not any(module_name == package or module_name.startswith(f"{package}.") for package in allowed):
        package = module_name.partition(".")[0]
        subject.find(path, f'{module_name} is in no allowed package; put "{package}" into server.filter_packages')
        return None
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code of somebody else runs: whatever it raises is a finding
        subject.find(path, _import_failure(module_name, error))
        return None
    cls = getattr(module, class_name, None)
    if cls is None:
        names = [name for name, value in vars(module).items() if isinstance(value, type)]
        subject.find(path, f"{module_name} has no class {class_name}", suggestion=nearest(class_name, names))
        return None
    base = getattr(tidegate, "Filter", None)
    if not isinstance(cls, type) or (base is not None and not issubclass(cls, base)):
        subject.find(path, f"{target} is not a filter; a filter is a subclass of tidegate.Filter")
        return None
    return cls


def _import_failure(module_name: str, error: BaseException) -> str:
    if (
        isinstance(error, ModuleNotFoundError)
        and error.name is not None
        and f"{module_name}.".startswith(f"{error.name}.")
    ):
        return f"there is no module {error.name}; is its directory in PYTHONPATH?"
    trace, place = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith("<") and file not in (__file__, importlib.__file__):
            place = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{module_name} cannot be imported: {type(error).__name__}: {error}{place}"


def _options(subject: Subject, path: Path, cls: type, use: FilterUse, directory: FilePath) -> dict[str, Any] | None:
    before = len(subject.source.findings)
    try:
        section = section_of(cls)
    except (TypeError, NameError, ValueError) as error:
        subject.find((*path, "class"), f"{use.target} declares its options wrongly: {error}")
        return None
    tree = {key: _thawed(value) for key, value in use.options.items()}
    try:
        shaped = shape(subject.source, section, tree, directory, path)
    except PydanticUserError as error:
        reason = error.message.partition(". ")[0]
        subject.find((*path, "class"), f"{use.target} has an option of a type that cannot be checked: {reason}")
        return None
    if shaped.section is None or len(subject.source.findings) > before:
        return None
    check_secrets(subject, shaped.section, path)
    check_names(subject, shaped.section, path)
    if any(one.severity == "error" for one in subject.source.findings[before:]):
        return None
    options = {name: getattr(shaped.section, name) for name in declared(cls)}
    try:
        plain: dict[str, Any] = msgspec.to_builtins(options, enc_hook=_plain)
        instance: Any = make(cls, plain)
        if hasattr(instance, "check_options"):
            instance.check_options()
        if hasattr(instance, "check_tables"):
            instance.check_tables(subject.gateway)
    except Exception as error:  # noqa: BLE001 - code of somebody else runs: whatever it raises is a finding
        reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        subject.find(path, reason)
        return None
    return plain


def _thawed(value: Any) -> Any:
    if isinstance(value, type(frozen({}))):
        return {key: _thawed(inner) for key, inner in value.items()}
    return [_thawed(inner) for inner in value] if isinstance(value, tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, type(frozen({}))):
        return dict(value)
    raise NotImplementedError(f"{type(value).__name__} is no value of an option")
