"""What the words of a prompt ask for, as far as rules can draw it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

PLACES: Mapping[str, str] = {
    "mountains": "mountain alp alpine himalaya peak summit fjord everest fuji matterhorn ridge cliff landscape "
    "scenery nature glacier",
    "hills": "hill valley countryside rolling tuscany vineyard highland moor scotland ireland",
    "volcano": "volcano volcanic lava eruption",
    "lake": "lake river pond fjord lagoon reservoir stream creek loch",
    "sea": "sea ocean beach bay harbor harbour coast coastal shore seaside wave marina port surf",
    "island": "island isle atoll tropical caribbean hawaii archipelago",
    "forest": "forest woods woodland tree pine spruce fir jungle taiga grove redwood",
    "field": "field meadow prairie farm pasture grassland garden lawn steppe wheat barley",
    "desert": "desert dune sand sahara gobi arabia oasis",
    "canyon": "canyon mesa butte arizona utah badlands",
    "city": "city skyline town skyscraper building street downtown metropolis urban cityscape tokyo york paris london "
    "shanghai chicago seoul singapore dubai cyberpunk alley",
    "space": "space galaxy planet nebula cosmos cosmic universe astronaut saturn jupiter mars orbit interstellar "
    "spaceship spacecraft asteroid alien",
}

THINGS: Mapping[str, str] = {
    "snow": "snow snowy winter ice icy arctic frozen frost frosty snowfall blizzard christmas antarctica polar glacier",
    "flowers": "flower floral bloom blossom poppy tulip rose daisy wildflower sunflower lavender garden orchid lily",
    "lavender": "lavender",
    "wheat": "wheat barley prairie steppe",
    "blossom": "sakura cherry blossom spring springtime",
    "autumn": "autumn fall foliage october maple",
    "moon": "moon moonlit moonlight lunar crescent",
    "sun": "sun sunny sunlight sunshine",
    "stars": "star starry stargazing constellation",
    "aurora": "aurora borealis",
    "comet": "comet meteor shooting",
    "rainbow": "rainbow",
    "lightning": "lightning thunder thunderstorm thunderbolt",
    "rain": "rain rainy raining downpour drizzle monsoon",
    "snowfall": "snowfall snowing blizzard snowstorm snowflake",
    "fog": "fog foggy mist misty haze hazy",
    "balloon": "balloon",
    "lantern": "lantern",
    "boat": "boat sailboat sail sailing ship yacht regatta",
    "bird": "bird seagull gull flock swallow crane goose geese eagle",
    "lighthouse": "lighthouse beacon",
    "cabin": "cabin cottage house hut lodge chalet farmhouse barn village",
    "village": "village hamlet",
    "castle": "castle fortress palace citadel",
    "windmill": "windmill",
    "palm": "palm tropical oasis caribbean hawaii coconut",
    "cactus": "cactus cacti saguaro",
    "pyramid": "pyramid egypt giza",
    "tent": "tent camp camping campfire",
    "rocket": "rocket spaceship spacecraft shuttle",
    "ring": "saturn",
    "pine": "pine spruce fir taiga conifer",
    "aloft": "cloud cloudy",
    "wave": "wave surf",
}

MOODS: tuple[tuple[str, str], ...] = (
    ("neon", "neon cyberpunk synthwave vaporwave retrowave outrun"),
    ("night", "night midnight nighttime starry nocturnal aurora borealis moonlit stargazing"),
    ("sunset", "sunset dusk evening twilight sundown"),
    ("dawn", "dawn sunrise morning daybreak"),
    ("storm", "storm stormy rain rainy thunder thunderstorm lightning overcast tempest gloomy downpour"),
    ("mist", "fog foggy mist misty haze hazy"),
    ("night", "moon moonlight lantern star comet meteor"),
    ("autumn", "autumn fall foliage october maple"),
    ("winter", "winter snow snowy ice icy frozen arctic frost christmas blizzard snowfall polar"),
    ("spring", "spring springtime blossom sakura cherry"),
    ("day", "day noon midday sunny afternoon summer daylight bright"),
)
"""Tried in this order: a neon city at night is neon, a snowy night is night."""

COLOURS: Mapping[str, str] = {
    "red": "red poppy tulip crimson scarlet ruby blood apple rose fire flame love heart",
    "orange": "orange fox tiger pumpkin amber copper carrot peach goldfish",
    "gold": "gold golden yellow honey lion lemon banana bee cheese sunflower",
    "green": "green emerald lime frog dragon leaf jade mint olive plant grass dinosaur avocado",
    "teal": "teal turquoise cyan aqua mermaid fish whale dolphin underwater",
    "blue": "blue azure navy sapphire indigo water sky penguin denim",
    "purple": "purple violet lavender magic wizard lilac plum grape amethyst unicorn",
    "pink": "pink cherry sakura magenta flamingo fuchsia candy bubblegum ballet",
    "brown": "brown bear dog horse coffee chocolate wood leather bread owl",
    "grey": "grey gray silver robot steel metal wolf elephant concrete stone knight",
}

TONES: Mapping[str, str] = {
    "grey": "monochrome grayscale greyscale noir charcoal pencil",
    "sepia": "sepia vintage daguerreotype",
}

PHRASES: Mapping[str, str] = {
    "northern lights": "aurora",
    "southern lights": "aurora",
    "milky way": "stars night",
    "shooting star": "comet night",
    "falling snow": "snowfall",
    "golden hour": "sunset",
    "blue hour": "dusk",
    "palm tree": "palm",
    "cherry tree": "sakura",
    "christmas tree": "snowy pine",
    "new york": "skyline",
    "ice cream": "pink",
}
"""What means something else together than its words do apart."""

NEGATIONS = frozenset({"no", "without", "not"})


@dataclass(frozen=True, slots=True)
class Brief:
    """What to draw. `places` and `things` are keys of `PLACES` and `THINGS`; `mood` is None where no word names one.

    `colours` are keys of `COLOURS` in the order in which the prompt names them. `tone` takes the colour out.
    """

    places: frozenset[str]
    things: frozenset[str]
    mood: str | None
    colours: tuple[str, ...]
    tone: str | None

    @property
    def abstract(self) -> bool:
        """True where no word names anything that rules can draw."""
        return not (self.places or self.things or self.mood)


def read(prompt: str) -> Brief:
    """The brief that a prompt's words make. Words that no table knows are passed over."""
    words = _words(prompt)
    said = set(words)

    def among(table: Mapping[str, str]) -> frozenset[str]:
        return frozenset(name for name, names in table.items() if said & set(names.split()))

    tones = among(TONES)
    if {"black", "white"} <= said:
        tones |= {"grey"}
    named = {
        name: min(words.index(word) for word in names.split() if word in said)
        for name, names in COLOURS.items()
        if said & set(names.split())
    }
    return Brief(
        places=among(PLACES),
        things=among(THINGS),
        mood=next((mood for mood, names in MOODS if said & set(names.split())), None),
        colours=tuple(sorted(named, key=lambda name: named[name])),
        tone=min(tones, default=None),
    )


def _words(prompt: str) -> list[str]:
    """Lower case, accents off, plurals undone; a word after "no" or "without" is not asked for."""
    plain = unicodedata.normalize("NFKD", prompt).casefold()
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    for phrase, meaning in PHRASES.items():
        plain = plain.replace(phrase, f" {meaning} ")
    found = re.findall(r"[a-z]+", plain)
    words: list[str] = []
    for before, word in zip(["", *found], found, strict=False):
        if before not in NEGATIONS:
            words.extend((word, *_singulars(word)))
    return words


def _singulars(word: str) -> tuple[str, ...]:
    if word.endswith("ies") and len(word) > 4:
        return (word[:-3] + "y",)
    if word.endswith("es") and len(word) > 4:
        return (word[:-1], word[:-2])
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        return (word[:-1],)
    return ()
