"""Files as PyTorch writes them, made without PyTorch."""

import collections
import io
import pickle
import struct
import sys
import types

import numpy as np

_STORAGES = {"f4": "FloatStorage", "i8": "LongStorage"}


class _Storage:
    def __init__(self, key, values):
        self.key, self.values = key, values


class _Rebuilt:
    """Pickles as a call of a function of torch._utils."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def _modules():
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        function = types.FunctionType((lambda *_: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    torch._utils = utils
    return {"torch": torch, "torch._utils": utils}


def _state(tensors, modules, edit):
    """The state dictionary to pickle and its storages, one a tensor; `edit` changes a window."""
    state, storages = collections.OrderedDict(), []
    for name, value in tensors.items():
        storage = _Storage(str(len(storages)), np.ascontiguousarray(value).ravel())
        storages.append(storage)
        strides = [step // value.itemsize for step in value.copy().strides]
        window = edit(0, value.shape, tuple(strides))
        tensor = _Rebuilt(
            modules["torch._utils"]._rebuild_tensor_v2,
            storage,
            *window,
            False,
            collections.OrderedDict(),
        )
        if name.endswith("weight"):
            tensor = _Rebuilt(
                modules["torch._utils"]._rebuild_parameter, tensor, True, collections.OrderedDict()
            )
        state[name] = tensor
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state, storages


def write(path, tensors, edit=lambda *window: window):
    """Write {name: array} as `torch.save` did before its zip archives."""
    modules = _modules()
    kept = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        state, storages = _state(tensors, modules, edit)

        class Pickler(pickle.Pickler):
            def persistent_id(self, item):
                if not isinstance(item, _Storage):
                    return None
                kind = getattr(modules["torch"], _STORAGES[item.values.dtype.str[1:]])
                return "storage", kind, item.key, "cpu", len(item.values), None

        program = io.BytesIO()
        Pickler(program, 2).dump(state)
    finally:
        for name, module in kept.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})
    with open(path, "wb") as file:
        pickle.dump(0x1950A86A20F9469CFC6C, file, 2)
        pickle.dump(1001, file, 2)
        pickle.dump({"little_endian": True}, file, 2)
        file.write(program.getvalue())
        pickle.dump([storage.key for storage in storages], file, 2)
        for storage in storages:
            file.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
