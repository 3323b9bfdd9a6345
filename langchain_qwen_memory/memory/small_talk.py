"""Tells thanks, greetings and agreement from questions: no archived turn answers them, so none needs to be sent."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 48
"""Characters: what is longer says more than thanks."""

_ENGLISH = r"""
(?:many |so |very )?thank(?:s| you| u)(?: (?:a lot|so much|very much|again))? | thx | ty | cheers | no worries
no problem | you'?re welcome | my pleasure | ok(?:ay|ie)?+ | k | sure(?: thing)? | fine | cool | nice | great
good | awesome | perfect | excellent | wonderful | wow+ | (?:ha)+h?+ | lol | got it | i see | understood
makes sense | all right | alright | sounds (?:good|great|fine) | of course | exactly | right | true | yes
yeah | yep | yup | no | nope | hmm*+ | oh+ | ah+ | hi+ | hello+ | hey+ | (?:hi|hello|hey) there
good (?:morning|afternoon|evening|night|day) | how are you(?: doing)?(?: today)? | bye(?:[ -]?bye)?
good ?bye | see (?:you|ya)(?: (?:later|soon|tomorrow))? | take care
have a (?:good|great|nice) (?:day|one|night) | that'?s (?:all|it|great|good|fine|nice|cool|right) | please
go on | well | and | very | really
"""
_CHINESE = """
多谢 谢谢 谢谢你 谢谢您 谢啦 谢了 感谢 非常 太 真的 十分 辛苦了 辛苦 不客气 不用谢 没事 没关系 没问题 好 好的
好吧 好呀 好啊 好嘞 好滴 行 行吧 可以 可以的 嗯+ 哦+ 噢+ 喔+ 啊+ 哈+ 呵+ 嘿+ 嘻+ 哇+ 唉+ 哎+ 呀 哟 啦 了 呢 吧
的 嘛 诶 对 对的 是 是的 没错 不是 不用 不用了 不了 明白 明白了 知道了 知道啦 了解 了解了 懂了 收到 棒 真棒
厉害 真好 太好了 不错 赞 你好 您好 大家好 早 早安 早上好 上午好 中午好 下午好 晚上好 晚安 再见 拜拜 回见
明天见 回头见 下次见 请 请继续 继续 继续说 就这样 就这些 先这样 没有了 没了
"""
_LETTERS = re.compile(r"[^\w'+-]+|_")


def _one_of_them() -> re.Pattern[str]:
    english = [one.strip() for line in _ENGLISH.strip().splitlines() for one in line.split(" | ")]
    english, chinese = (sorted(ones, key=len, reverse=True) for ones in (english, _CHINESE.split()))
    # atomic: once a phrase is taken it stays taken, so that no text makes the search long; so longer ones stand first
    return re.compile(rf"(?:(?>(?:{'|'.join(english)})\b|{'|'.join(chinese)}) ?)+")


_SMALL_TALK = _one_of_them()


def is_small_talk(text: str) -> bool:
    """Whether a message is thanks, a greeting, agreement or the like and nothing else, in English or Chinese.

    Args:
        text: What the user wrote. Signs and emoji do not count; a text without any letter or digit is small talk too.
    """
    if len(text) > LONGEST:
        return False
    words = _LETTERS.sub(" ", unicodedata.normalize("NFKC", text).casefold().replace("’", "'")).strip()
    return not words or _SMALL_TALK.fullmatch(words) is not None
