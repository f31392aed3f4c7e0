"""Gymnasium environments over networks and over their twins."""

from typing import Any

from gymnasium.envs.registration import register, registry

__all__ = [
    "RanSlicingEnv",
    "RanSlicingVectorEnv",
    "SliceAdmissionEnv",
    "SliceAdmissionVectorEnv",
    "TransitionRecorder",
    "TwinAdmissionEnv",
    "TwinAdmissionVectorEnv",
    "TwinSlicingEnv",
    "TwinSlicingVectorEnv",
    "register_environments",
]

_MODULES = {
    "RanSlicingEnv": "ran_slicing",
    "RanSlicingVectorEnv": "ran_slicing",
    "SliceAdmissionEnv": "slice_admission",
    "SliceAdmissionVectorEnv": "slice_admission",
    "TransitionRecorder": "recorder",
    "TwinAdmissionEnv": "twin_admission",
    "TwinAdmissionVectorEnv": "twin_admission",
    "TwinSlicingEnv": "twin_slicing",
    "TwinSlicingVectorEnv": "twin_slicing",
}


def register_environments() -> None:
    """Registers the environments with Gymnasium; done by importing this package."""
    for name in ("RanSlicing", "SliceAdmission", "TwinAdmission", "TwinSlicing"):
        module = _MODULES[f"{name}Env"]
        if f"gentwin/{name}-v0" not in registry:
            register(
                id=f"gentwin/{name}-v0",
                entry_point=f"gentwin.envs.{module}:{name}Env",
                vector_entry_point=f"gentwin.envs.{module}:{name}VectorEnv",
            )


def __getattr__(name: str) -> Any:
    # Environments over twins need torch; those over networks should not wait for it.
    if name not in _MODULES:
        raise AttributeError(f"module 'gentwin.envs' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"gentwin.envs.{_MODULES[name]}"), name)


register_environments()
