"""Converts boto3's keyword arguments to messages of the contract.

The names of the contract are Bedrock's, so its descriptors map arguments to fields. Free JSON is sent as
exact text, which keeps the order of keys and every digit of integers.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from .exceptions import ParamValidationError

M = TypeVar("M", bound=Message)

FREE_JSON = {"google.protobuf.Struct", "google.protobuf.Value"}

_INTEGERS = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64}


def read(kind: type[M], arguments: Mapping[str, Any]) -> M:
    """Convert arguments to a message. Raises `ParamValidationError` for an invalid argument."""
    message = kind()
    _fill(message, arguments, "")
    return message


def _fill(message: Any, members: Any, path: str) -> None:
    if not isinstance(members, Mapping):
        raise _mistyped(path, members, "dict")
    fields = message.DESCRIPTOR.fields_by_camelcase_name
    for name, value in members.items():
        field = fields.get(name)
        where = f"{path}.{name}".lstrip(".")
        if value is None:
            raise _mistyped(where, value, "a value, or no argument")
        if field is not None:
            _set(message, field, value, where)
        elif "unknown_json" in message.DESCRIPTOR.fields_by_name:  # a union that can have newer kinds
            message.unknown_json = _json({name: value}, where)
        else:
            allowed = ", ".join(sorted(fields))
            raise ParamValidationError(f'Unknown parameter in input: "{where}", must be one of: {allowed}')


def _set(message: Any, field: FieldDescriptor, value: Any, path: str) -> None:
    kind: Descriptor | None = field.message_type
    if kind is not None and kind.full_name in FREE_JSON:
        setattr(message, _exact(message, field), _json(value, path))
    elif kind is not None and kind.GetOptions().map_entry:
        _fill_map(getattr(message, field.name), kind, value, path)
    elif field.is_repeated:
        _fill_list(getattr(message, field.name), field, value, path)
    elif kind is not None:
        part = getattr(message, field.name)
        part.SetInParent()  # {"auto": {}} is not the same as absent
        _fill(part, value, path)
    else:
        setattr(message, field.name, _scalar(field, value, path))


def _exact(message: Any, field: FieldDescriptor) -> str:
    """Return the name of the field that has the value as exact text."""
    names = message.DESCRIPTOR.fields_by_name
    return next(name for name in (f"{field.name}_json", f"{field.name}_text") if name in names)


def _fill_map(entries: Any, kind: Descriptor, value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        raise _mistyped(path, value, "dict")
    field = kind.fields_by_name["value"]
    for key, item in value.items():
        where = f"{path}.{key}"
        if field.message_type is not None:
            _fill(entries[key], item, where)
        else:
            entries[key] = _scalar(field, item, where)


def _fill_list(items: Any, field: FieldDescriptor, value: Any, path: str) -> None:
    if not isinstance(value, (list, tuple)):
        raise _mistyped(path, value, "list")
    for at, item in enumerate(value):
        where = f"{path}[{at}]"
        if field.message_type is not None:
            _fill(items.add(), item, where)
        else:
            items.append(_scalar(field, item, where))


def _scalar(field: FieldDescriptor, value: Any, path: str) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(value, path)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _typed(value, str, path)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _typed(value, bool, path)
    if field.type in _INTEGERS:
        number = _typed(value, int, path)
        if not -(2**31) <= number < 2**31:
            raise ParamValidationError(f"Invalid value for parameter {path}, value: {value}: beyond 32 bits")
        return number
    return float(_typed(value, (float, int, decimal.Decimal), path))


def _bytes(value: Any, path: str) -> bytes:
    """Convert bytes, text or a file, as boto3 does."""
    if isinstance(value, str):
        return value.encode()
    if hasattr(value, "read"):
        value = value.read()
    return bytes(_typed(value, (bytes, bytearray, memoryview), path))


def _typed(value: Any, kind: Any, path: str) -> Any:
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise _mistyped(path, value, " or ".join(kind.__name__ for kind in kinds))
    return value


def _mistyped(path: str, value: Any, wanted: str) -> ParamValidationError:
    return ParamValidationError(
        f"Invalid type for parameter {path}, value: {_short(value)}, type: {type(value)}, valid types: {wanted}"
    )


def _short(value: Any) -> str:
    """Return the first 40 characters: errors can be logged, and prompts must not."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _json(value: Any, path: str) -> str:
    """Return exact JSON text. Decimals keep their digits, as numbers."""
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return str(value)
    if isinstance(value, Mapping):
        members = (f"{_key(key, path)}: {_json(item, f'{path}.{key}')}" for key, item in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_json(item, f'{path}[{at}]') for at, item in enumerate(value))}]"
    if value is None or isinstance(value, (str, bool, int, float)):
        try:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
        except ValueError:
            pass  # infinity and NaN are not JSON
    raise ParamValidationError(f"Invalid value for document parameter {path}, type: {type(value)}: not JSON")


def _key(key: Any, path: str) -> str:
    return json.dumps(_typed(key, str, f"a key of {path}"), ensure_ascii=False)
