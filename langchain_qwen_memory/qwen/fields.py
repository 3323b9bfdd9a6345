"""What both chat models know: Qwen's options, where calls go and with which key, what a model can and costs."""

from collections.abc import Callable, Sequence
from typing import Any, Self

from langchain_core.language_models import BaseChatModel, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import BaseMessage
from pydantic import ConfigDict, PrivateAttr, model_validator

from langchain_qwen_memory.catalogue import ModelInfo, model_info
from langchain_qwen_memory.counting.vocabulary import encoding
from langchain_qwen_memory.qwen import blocks
from langchain_qwen_memory.qwen.calls import CONNECTION, Link, ThinkingTags, common_names
from langchain_qwen_memory.qwen.endpoints import shown_url
from langchain_qwen_memory.qwen.wire import KNOBS, plan_request
from langchain_qwen_memory.tokens import count_text, count_tokens

__all__ = ["QwenFields"]

blocks.register()


class QwenFields(BaseChatModel):
    """Options, counts, profile and traces of a Qwen model, whatever protocol it is called by."""

    model_config = ConfigDict(
        hide_input_in_errors=True,  # a refused option's error would show the key beside it
        populate_by_name=True,
        protected_namespaces=(),
    )

    model_name: str
    """Name of the model, as the server knows it."""

    region: str | None = None
    """beijing, singapore, us, hongkong, tokyo or frankfurt. A key is valid in its own region only."""

    workspace: str | None = None
    """Id of a workspace, which has a host of its own in each region."""

    stream_usage: bool | None = True
    """Have token counts in streams too."""

    enable_thinking: bool | None = None
    """Whether the model thinks before it answers; None: as the model does by itself."""

    thinking_budget: int | None = None
    """Most tokens of thinking."""

    reasoning_effort: str | None = None
    """How much it thinks: low, medium, xhigh; none is off."""

    preserve_thinking: bool | None = None
    """Whether thinking of earlier turns is sent back and read; None: as the model does by itself (catalogue)."""

    top_k: int | None = None
    """Sample among so many most likely tokens."""

    repetition_penalty: float | None = None
    """Above 1, repeating is made less likely."""

    enable_search: bool | None = None
    """Let the service search the web first."""

    search_options: dict[str, Any] | None = None
    """How it searches, in the service's own words."""

    character_options: dict[str, Any] | None = None
    """Of a role-play model (qwen-plus-character), in the service's own words: `profile`, who it plays, and `memory`,
    the service's own long-term memory. Leave that memory off in a graph that has one: it keeps the messages itself, by
    the id of a session that goes with each call (`extra_headers={"x-dashscope-aca-session": ...}`), and wants only new
    ones. Without it a system message says who is played."""

    vl_high_resolution_images: bool | None = None
    """Look at pictures at up to 16 times the pixels, for as many more tokens."""

    thinking_tags: ThinkingTags = "auto"
    """Where thinking may stand inline in the text: "auto" by the catalogue, "open" if the server's template opens it
    and no parser takes it out, "off" to leave the text alone."""

    _link: Link = PrivateAttr()

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Constructor arguments that are secrets, and the variables that hold them."""
        return dict.fromkeys(("openai_api_key", "api_key", "dashscope_api_key"), "DASHSCOPE_API_KEY")

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can write this model down and load it again: yes, without its key."""
        return True

    @model_validator(mode="before")
    @classmethod
    def _take_shared_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Takes the names that ChatTongyi and other packages have for the same options."""
        renamed = {"dashscope_api_key": "api_key", "api_base": "base_url"}
        return {renamed.get(name, name): value for name, value in values.items()}

    @model_validator(mode="after")
    def _set_qwen_version(self) -> Self:
        from importlib.metadata import version

        self._add_version("langchain-qwen-memory", version("langchain-qwen-memory"))
        return self

    def __repr_args__(self) -> Any:
        """What is shown of the object: no password of a URL, no header, as keys may stand in both."""
        for name, value in super().__repr_args__():
            if name not in {"default_headers", "default_query"}:
                yield name, shown_url(value) if name in {"openai_api_base", "base_url"} and value else value

    @property
    def _info(self) -> ModelInfo:
        return model_info(self.model_name)

    @property
    def _default_params(self) -> dict[str, Any]:
        """All that this object says of each call; also what a response cache tells it apart by."""
        knobs = {knob: getattr(self, knob) for knob in KNOBS}
        return self._common_params() | {knob: value for knob, value in knobs.items() if value is not None}

    def _common_params(self) -> dict[str, Any]:
        """What other companies' models have too, by OpenAI's names."""
        raise NotImplementedError

    # --- what is known of the model ---

    def get_token_ids(self, text: str) -> list[int]:
        """Returns the model's own tokens of a text; offline."""
        return encoding(self._info.vocabulary).encode(text, allowed_special="all")

    def get_num_tokens(self, text: str) -> int:
        """Returns how many of the model's own tokens a text is; offline."""
        return count_text(text, model=self.model_name)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any] | None = None,
        **kwargs: Any,
    ) -> int:
        """Returns how many tokens a prompt is, template and tools included, as the service bills it; offline.

        Options of the call may be given too (`enable_thinking=...`): what is counted is what would be sent.
        """
        asked = common_names(kwargs) | ({"tools": list(tools)} if tools else {})
        own = {name: asked.pop(name) for name in CONNECTION & asked.keys()}
        kind = self._link.with_options(own).kind
        planned = plan_request(messages, self._default_params, asked, server=kind)
        said, choice = planned.params, planned.params.get("tool_choice")
        return count_tokens(
            list(messages),
            model=said["model"],
            tools=said["tools"] or (),
            tool_choice=choice if isinstance(choice, str) else None,
            response_format=(said["response_format"] or {}).get("type"),
            thinking=planned.plan.thinks,
            reasoning="all" if planned.preserves else "open_turn",
            high_resolution=bool(planned.knobs.get("vl_high_resolution_images")),
        )

    def _resolve_model_profile(self) -> ModelProfile | None:
        return _profile(self._info)

    # --- tracing ---

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return super()._get_ls_params(stop=stop, **kwargs) | LangSmithParams(ls_provider=blocks.PROVIDER)

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What is traced of a call: not how it travels, for that holds keys and clients."""
        shown = {name: value for name, value in common_names(kwargs).items() if name not in CONNECTION}
        return super()._get_invocation_params(stop=stop, **shown)


def _profile(info: ModelInfo) -> ModelProfile | None:
    """Returns the catalogue's facts as LangChain's profile; None for a model it does not know."""
    if not info.known:
        return None
    return ModelProfile(
        max_input_tokens=info.max_input,
        max_output_tokens=info.max_output,
        text_inputs=True,
        image_inputs="image" in info.inputs,
        image_url_inputs="image" in info.inputs,
        pdf_inputs=False,
        audio_inputs="audio" in info.inputs,
        video_inputs="video" in info.inputs,
        image_tool_message=False,
        pdf_tool_message=False,
        text_outputs=True,
        image_outputs=False,
        audio_outputs="audio" in info.outputs,
        video_outputs=False,
        reasoning_output=info.thinking != "never",
        tool_calling=info.tools,
        tool_choice=info.tools and info.thinking != "always",
        structured_output=info.json_schema,
    )
