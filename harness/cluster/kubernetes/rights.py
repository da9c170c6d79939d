"""The rights that an attached run needs, as a role with nothing else in it, and which of them are missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.cluster.kubernetes.kinds import Kind

if TYPE_CHECKING:
    from harness.cluster.kubernetes.api import KubernetesApi  # its client is not needed to print a role

NAME = "session-harness"
_REVIEW = Kind("SelfSubjectAccessReview", "authorization.k8s.io/v1", "selfsubjectaccessreviews")


@dataclass(frozen=True)
class Right:
    """To do ``verb`` with a resource such as ``pods/eviction``; ``everywhere`` for what is in no namespace."""

    verb: str
    resource: str
    group: str = ""
    everywhere: bool = False


_APPS = "apps"
#: To find the workload, its Service and its pods.
TO_LOOK = (
    *(Right("get", resource, _APPS) for resource in ("deployments", "statefulsets")),
    Right("list", "pods"),
    Right("list", "services"),
)
#: To ask the Service through the API server, where the load comes from pods.
TO_ASK = (Right("get", "services/proxy"),)
#: What each fault needs besides, by its kind.
TO_BREAK: Mapping[str, tuple[Right, ...]] = MappingProxyType(
    {
        "kill": (Right("delete", "pods"),),
        "terminate": (Right("delete", "pods"),),
        "rolling_restart": tuple(Right("patch", resource, _APPS) for resource in ("deployments", "statefulsets")),
        "resize": tuple(Right("patch", resource, _APPS) for resource in ("deployments/scale", "statefulsets/scale")),
        "lose_node": (Right("get", "nodes", everywhere=True),),
        "drain_node": (
            Right("create", "pods/eviction"),
            Right("get", "nodes", everywhere=True),
            Right("patch", "nodes", everywhere=True),
        ),
    }
)


def needed_rights(workload: str, faults: Iterable[str]) -> list[Right]:
    """The rights for a ``deployment`` or a ``statefulset``, and for these kinds of faults."""
    other = {"deployment": "statefulsets", "statefulset": "deployments"}[workload]
    rights = [*TO_LOOK, *(right for fault in faults for right in TO_BREAK.get(fault, ()))]
    return [right for right in dict.fromkeys(rights) if right.resource.partition("/")[0] != other]


def role(rights: Iterable[Right], namespace: str | None) -> dict[str, Any]:
    """A Role for a namespace, or without one a ClusterRole, with exactly these rights."""
    resources: dict[tuple[str, str], list[str]] = {}
    for right in dict.fromkeys(rights):
        resources.setdefault((right.group, right.resource), []).append(right.verb)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": {"name": NAME, **({"namespace": namespace} if namespace else {})},
        "rules": [
            {"apiGroups": [group], "resources": [resource], "verbs": verbs}
            for (group, resource), verbs in resources.items()
        ],
    }


def roles(namespace: str) -> list[dict[str, Any]]:
    """The least roles with which every fault is possible."""
    rights = [*TO_LOOK, *(right for needed in TO_BREAK.values() for right in needed)]
    return [
        role([right for right in rights if not right.everywhere], namespace),
        role([right for right in rights if right.everywhere], None),
    ]


async def missing_rights(
    api: "KubernetesApi", rights: Iterable[Right], namespace: str, names: Mapping[str, str]
) -> list[Right]:
    """Those of the rights that the API server says the user does not have.

    ``names`` has the one object of a resource that is meant, since a role may permit no other.
    """
    return [right for right in rights if not await _has(api, right, namespace, names.get(right.resource, ""))]


async def _has(api: "KubernetesApi", right: Right, namespace: str, name: str) -> bool:
    """Whether the user may do it with an object, or with any if it has no ``name``."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "group": right.group, "resource": resource, "subresource": subresource}
    where = {"name": name, **({} if right.everywhere else {"namespace": namespace})}
    question = {
        "apiVersion": _REVIEW.version,
        "kind": _REVIEW.name,
        "metadata": {"name": ""},
        "spec": {"resourceAttributes": {**attributes, **where}},
    }
    answer = await api.create(_REVIEW, question)
    return bool(answer["status"]["allowed"])
