"""An edit laid back into the picture that was edited, for providers that know no masks.

Where the mask is opaque, every pixel stays as it was, to the last bit, and in the colour profile it was meant in: the
edit's colours are translated into that. Where it is fully transparent the edit shows. In between lies a soft edge,
taken from the editable side alone, so that no seam is seen: 2 pixels for each 512 of the shorter side, at least 2 and
at most 16. A hole too narrow for that gets a narrower edge, and one of a pixel or two none, so that none is lost.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageChops, ImageFilter

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.colour import to_srgb, translated
from normalization.pictures.decode import decode, drop_opaque_alpha
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import Limits
from normalization.plan import Composite
from normalization.vocabulary import Picture

SIDE_A_REACH = 512
REACH_MOST = 8
"""Half of the soft edge's width, in pixels: one for so many of the shorter side, at most so many."""


def lay(edit: Bitmap, into: Composite) -> Bitmap:
    """The edit, which has the original's size, over the original where the mask lets it show.

    Raises `BadPicture` where the original or the mask cannot be read, `ValueError` where sizes differ.
    """
    alpha = _alpha(_read(into.mask))
    original = _read(into.original)
    if not edit.size == original.size == into.mask.size:
        raise ValueError(f"an edit of {edit.size}, an original of {original.size}, a mask of {into.mask.size}")
    shown = weight(alpha)
    box = shown.getbbox()
    if box is None:
        return original
    edit, original = _alike(edit, original)
    part = _mixed(edit.image.crop(box), original.image.crop(box), shown.crop(box))
    laid = original.image.copy()
    laid.paste(part, box)
    return Bitmap(drop_opaque_alpha(laid), original.icc)


def weight(alpha: Image.Image) -> Image.Image:
    """How much of the edit shows at each pixel, 0..255, for a mask's alpha: never more than the mask lets through."""
    open_to = ImageChops.invert(alpha)
    reach = min(REACH_MOST, max(1, min(alpha.size) // SIDE_A_REACH))
    shown, rest = Image.new("L", alpha.size), open_to
    # What is too narrow for one edge is left to the next, of half the width, and what is left at last gets none.
    while reach:
        core = _spread(open_to, reach, ImageChops.darker)
        shown = ImageChops.lighter(shown, ImageChops.darker(core.filter(ImageFilter.BoxBlur(reach)), rest))
        rest = ImageChops.subtract(open_to, _spread(core, reach, ImageChops.lighter))
        reach //= 2
    return ImageChops.lighter(shown, rest)


def _read(picture: Picture) -> Bitmap:
    """A picture that was taken in before: within the bounds that it was said to have."""
    data = picture.content.read()
    size = picture.size
    limits = Limits(len(data), size.pixels, max(size.width, size.height), ratio_most=None)
    return decode(data, inspect(data, limits))


def _alpha(mask: Bitmap) -> Image.Image:
    return mask.image.getchannel("A") if mask.transparent else Image.new("L", mask.image.size, 255)


def _alike(edit: Bitmap, original: Bitmap) -> tuple[Bitmap, Bitmap]:
    """Both with the same channels, in the original's colours. Only a grey original whose profile no coloured picture
    can have goes to sRGB itself."""
    transparent = edit.transparent or original.transparent
    grey = edit.image.mode == original.image.mode == "L"
    if grey and edit.icc == original.icc:
        return edit, original
    if original.image.mode == "L" and original.icc is not None:
        original = Bitmap(to_srgb(original.image, original.icc))
    mode = "RGBA" if transparent else "RGB"
    image = translated(edit.image, edit.icc, original.icc)
    return Bitmap(image.convert(mode), original.icc), Bitmap(original.image.convert(mode), original.icc)


def _mixed(edit: Image.Image, original: Image.Image, shown: Image.Image) -> Image.Image:
    """One over the other. With transparency colours are weighed by it, or hidden ones would come out in the edge;
    that loses bits, so what is not in the edge is taken from the pictures themselves."""
    if edit.mode != "RGBA":
        return Image.composite(edit, original, shown)
    mixed = Image.composite(edit.convert("RGBa"), original.convert("RGBa"), shown).convert("RGBA")
    mixed.paste(original, mask=shown.point([255 * (level == 0) for level in range(256)]))
    mixed.paste(edit, mask=shown.point([255 * (level == 255) for level in range(256)]))
    return mixed


def _spread(image: Image.Image, reach: int, pick: Callable[[Image.Image, Image.Image], Image.Image]) -> Image.Image:
    """Each pixel becomes the darkest or lightest of the square that reaches so far around it. Pillow's own filters
    take the square of the time."""
    for down in (False, True):
        covered = 0
        while covered < reach:
            step = min(2 * covered + 1, reach - covered)
            image = pick(pick(image, _moved(image, step, down)), _moved(image, -step, down))
            covered += step
    return image


def _moved(image: Image.Image, step: int, down: bool) -> Image.Image:
    """The picture moved by so many pixels; what moves in from outside is what was there."""
    moved = image.copy()
    moved.paste(image, (0, step) if down else (step, 0))
    return moved
