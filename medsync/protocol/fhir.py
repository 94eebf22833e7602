"""Strict validation of FHIR R5 resources: every error names the element and the source of the resource.

The models of `fhir.resources` check types, cardinalities and unknown elements. They do not enforce required
code lists, so those are checked here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fhir.resources import get_fhir_model_class
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from pydantic import BaseModel, ValidationError

from medsync.protocol.felt import InvalidValue


def parse_resource(document: Any, source: str) -> FHIRAbstractModel:
    """Validate the FHIR R5 resource in `document` (parsed JSON) and return it.

    `source` identifies the resource in errors, usually by its file name. Raises `InvalidValue` naming every
    invalid element; the message contains none of the data.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("resourceType"), str):
        raise InvalidValue(f"{source}: not a FHIR resource: expected an object with a resourceType")
    resource_type = document["resourceType"]
    try:
        model = get_fhir_model_class(resource_type)
    except (KeyError, ValueError):
        raise InvalidValue(f"{source}: resourceType: {resource_type!r} is not a FHIR R5 resource") from None
    try:
        resource = model.model_validate(document)
    except ValidationError as error:
        found = [f"{_path(resource_type, item['loc'])}: {item['msg']}" for item in error.errors()]
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        # Some of the library's checks raise other errors on malformed input instead of reporting it.
        found = [f"{resource_type}: malformed ({type(error).__name__})"]
    else:
        found = list(_unknown_codes(resource, resource_type))
        if not found:
            return resource
    raise InvalidValue(f"{source}: {'; '.join(found)}")


def _path(resource_type: str, location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return resource_type + "".join(steps)


def _unknown_codes(element: BaseModel, path: str) -> Iterator[str]:
    """Describe every coded element below `element` whose code is not in its required list."""
    for name, field in type(element).model_fields.items():
        value = getattr(element, name)
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}
        allowed = extra.get("enum_values")
        for position, item in enumerate(value if isinstance(value, list) else [value]):
            here = f"{path}.{field.alias or name}" + (f"[{position}]" if isinstance(value, list) else "")
            if isinstance(item, BaseModel):
                yield from _unknown_codes(item, here)
            elif isinstance(allowed, list) and item is not None and item not in allowed:
                yield f"{here}: must be one of {', '.join(map(str, allowed))}"
