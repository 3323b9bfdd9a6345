"""Where Qwen is served: regions, workspaces, the URLs they have, and which kind of server answers at a URL."""

from types import MappingProxyType
from typing import Literal, get_args
from urllib.parse import urlsplit

__all__ = [
    "COMPATIBLE",
    "NATIVE",
    "REGIONS",
    "Server",
    "ServerKind",
    "endpoint_url",
    "native_url",
    "other_regions",
    "region_of",
    "server_of",
    "shown_url",
]

Server = Literal["auto", "dashscope", "vllm", "sglang", "llama.cpp", "ollama", "openrouter"]
"""What a user may say of the server; "auto" leaves it to the URL."""

ServerKind = Literal["dashscope", "self-hosted", "vllm", "sglang", "llama.cpp", "ollama", "openrouter"]
"""What the server is taken to be. "self-hosted": OpenAI-compatible, nothing more is known."""

COMPATIBLE, NATIVE = "/compatible-mode/v1", "/api/v1"
"""Where the service's two protocols begin: OpenAI's and its own."""

REGIONS = MappingProxyType(
    {
        "beijing": ("cn-beijing", "dashscope.aliyuncs.com"),
        "singapore": ("ap-southeast-1", "dashscope-intl.aliyuncs.com"),
        "us": ("us-east-1", "dashscope-us.aliyuncs.com"),
        "hongkong": ("cn-hongkong", "cn-hongkong.dashscope.aliyuncs.com"),
        "tokyo": ("ap-northeast-1", None),
        "frankfurt": ("eu-central-1", None),
    }
)
"""Region -> its id in workspace hosts, and its public host; None where only workspaces are served."""


def endpoint_url(*, region: str | None = None, workspace: str | None = None) -> str:
    """Returns the base URL of Alibaba's service.

    Args:
        region: beijing (the default), singapore, us, hongkong, tokyo or frankfurt, or the region's id (`cn-beijing`).
        workspace: Id of a workspace, which has a host of its own in each region.

    Raises:
        ValueError: If there is no such region, or it serves workspaces only and none is given.
    """
    name, (region_id, public) = _region(region or "beijing")
    if workspace:
        return f"https://{workspace}.{region_id}.maas.aliyuncs.com{COMPATIBLE}"
    if public is None:
        raise ValueError(
            f"region={name!r} is served at workspace hosts only: give workspace=... as well, "
            f"the id of your workspace in that region."
        )
    return f"https://{public}{COMPATIBLE}"


def native_url(url: str) -> str:
    """Returns the base URL of DashScope's own protocol beside that of the compatible one; others stay as they are."""
    url = url.rstrip("/")
    return url.removesuffix(COMPATIBLE) + NATIVE if url.endswith(COMPATIBLE) else url


def other_regions(url: str) -> dict[str, str]:
    """Returns region -> base URL of the public endpoints other than the given one, for the same protocol."""
    host, path = urlsplit(url).hostname, NATIVE if url.endswith(NATIVE) else COMPATIBLE
    return {name: f"https://{public}{path}" for name, (_, public) in REGIONS.items() if public and public != host}


def region_of(url: str) -> str | None:
    """Returns the region that one of Alibaba's own URLs belongs to; None for any other URL."""
    host = urlsplit(url).hostname or ""
    for name, (region_id, public) in REGIONS.items():
        if host == public or host.endswith(f".{region_id}.maas.aliyuncs.com"):
            return name
    return None


def server_of(url: str, server: Server = "auto") -> ServerKind:
    """Says what answers at a URL: what the user said, or else what its host and path say.

    One of Alibaba's own hosts, or a path with `/compatible-mode/` (a proxy before them), is DashScope. Anything else
    is somebody's own server; so is Alibaba's PAI (`pai-eas.aliyuncs.com`), where people run vLLM.

    Raises:
        ValueError: If `server` is no server that is known.
    """
    if server not in get_args(Server):
        raise ValueError(f"server={server!r} is not known: give one of {', '.join(get_args(Server))}.")
    if server != "auto":
        return server
    parts = urlsplit(url)
    return (
        "dashscope" if _is_alibaba(parts.hostname or "") or "/compatible-mode/" in f"{parts.path}/" else "self-hosted"
    )


def shown_url(url: str) -> str:
    """Returns a URL as it may be shown: without the name and password that some write into it."""
    start, mark, rest = url.partition("//")
    host, slash, path = rest.partition("/")
    return f"{start}{mark}{host.rpartition('@')[2]}{slash}{path}"


def _is_alibaba(host: str) -> bool:
    public = {public for _, public in REGIONS.values()}
    return host in public or host.endswith((".dashscope.aliyuncs.com", ".maas.aliyuncs.com"))


def _region(given: str) -> tuple[str, tuple[str, str | None]]:
    for name, entry in REGIONS.items():
        if given in {name, entry[0]}:
            return name, entry
    raise ValueError(f"region={given!r} is not known: give one of {', '.join(REGIONS)}, or base_url=... instead.")
