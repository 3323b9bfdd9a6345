"""Tells how many tokens of a prompt are pictures or sounds, and what it costs where those have prices of their own."""

from collections.abc import Iterable

from langchain_core.messages import AIMessage, BaseMessage

from langchain_qwen_memory.catalogue import ModelInfo, Price
from langchain_qwen_memory.counting.blocks import media_in
from langchain_qwen_memory.counting.media import audio_tokens, image_tokens, video_tokens

__all__ = ["answer_price", "media_tokens", "plain_cost"]


def media_tokens(messages: Iterable[BaseMessage], info: ModelInfo, *, high_resolution: bool = False) -> tuple[int, int]:
    """Returns the tokens of pictures and films, and those of sounds; of answers no medium is sent, so none counts."""
    pictures = sounds = 0
    for message in messages:
        for medium, block in () if isinstance(message, AIMessage) else media_in(message.content):
            if medium == "image":
                pictures += image_tokens(block, info, high_resolution=high_resolution)
            elif medium == "video":
                pictures += video_tokens(block, info)
            elif medium == "audio":
                sounds += audio_tokens(block, info)
    return pictures, sounds


def plain_cost(tier: Price, tokens: int, pictures: int, sounds: int) -> float:
    """What a prompt of so many tokens costs uncached, in millionths; pictures and sounds are among the tokens."""
    of_media = tier.input if tier.input_media is None else tier.input_media
    of_sound = tier.input if tier.input_audio is None else tier.input_audio
    return max(0, tokens - pictures - sounds) * tier.input + pictures * of_media + sounds * of_sound


def answer_price(tier: Price, *, thought: bool, media: bool) -> float:
    """What one million tokens of an answer in words cost."""
    if media and tier.output_media is not None:
        return tier.output_media
    return tier.output_thinking if thought else tier.output
