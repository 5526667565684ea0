"""The codec pool: pictures and other values cross to a child and back, and refusals keep their meaning."""

from __future__ import annotations

import os

import pytest

from gateway.services.codecs import CodecBroken, CodecError
from normalization.pictures import INPUT, BadPicture, CannotEncode, FinishOptions
from normalization.pictures.inspect import inspect
from normalization.plan import Finish
from normalization.vocabulary import Format, Size
from tests import loops
from tests.gateway.codec_pools import JOBS, OPTIONS, pool_of, run
from tests.normalization.pictures.making import exif, noise, png_bomb, smooth, written

pytestmark = pytest.mark.anyio
anyio_backend = loops.anyio_backend


async def test_a_picture_is_converted_in_a_child() -> None:
    async with pool_of() as pool:
        for kind in Format:
            done = await pool.finish(written(smooth(), "PNG"), Finish(kind, fit=Size(33, 22)), OPTIONS)
            assert inspect(done.data).format is done.format is kind
            assert inspect(done.data).size == done.size == Size(33, 22)
            assert done.resized
        assert os.getpid() not in pool.pids
        assert len(pool.pids) == 1


async def test_a_picture_that_passes_through_needs_no_child() -> None:
    async with pool_of() as pool:
        data = written(noise(), "PNG")
        assert (await pool.finish(data, Finish(Format.PNG, fit=Size(60, 40)), OPTIONS)).data is data
        assert pool.pids == frozenset()


async def test_a_thumbnail_takes_a_child_even_where_the_picture_passes() -> None:
    async with pool_of() as pool:
        data = written(noise(), "PNG")
        done = await pool.finish(data, Finish(Format.PNG, thumbnail=16), OPTIONS)
        assert done.data == data
        assert inspect(done.thumbnail or b"").size == Size(16, 10)


async def test_an_input_picture_can_be_turned_upright_in_a_child() -> None:
    options = FinishOptions(limits=INPUT, digital_source=None, keep_manifest=False)
    async with pool_of() as pool:
        done = await pool.finish(written(noise(), "JPEG", exif=exif(6)), Finish(Format.JPEG, quality=95), options)
    assert inspect(done.data).size == Size(40, 60)
    assert b"secret" not in done.data


async def test_a_bomb_never_reaches_a_child() -> None:
    async with pool_of() as pool:
        with pytest.raises(BadPicture) as caught:
            await pool.finish(png_bomb(9400, 9400), Finish(Format.JPEG), OPTIONS)
        assert caught.value.code == "too_large"
        assert pool.pids == frozenset()


async def test_damage_found_in_a_child_is_the_callers_refusal() -> None:
    async with pool_of() as pool:
        whole = written(noise(600, 400), "JPEG")
        with pytest.raises(BadPicture) as caught:
            await pool.finish(whole[: len(whole) // 2], Finish(Format.PNG), OPTIONS)
        assert caught.value.code == "unreadable"
        assert not isinstance(caught.value, CodecError)


@pytest.mark.parametrize(
    "function",
    ["os:getpid", "gateway.services.codecs:FINISH", "normalization.plan:Finish", f"{JOBS}:_hidden", JOBS, "", ":",
     "normalization.picturesque:x", f"{JOBS}:os.getpid"],
)  # fmt: skip
async def test_only_codec_functions_run(function: str) -> None:
    async with pool_of() as pool:
        with pytest.raises(ValueError, match="is not a codec function"):
            await pool.run(function, {}, pixels=1)
        assert pool.pids == frozenset()


async def test_megabytes_go_there_and_back_unchanged() -> None:
    data = os.urandom(5_000_000)
    async with pool_of() as pool:
        assert await run(pool, "echo", data=data) == data
        assert await run(pool, "echo", data=b"") == b""


async def test_refusals_keep_their_kind_and_mistakes_their_traceback() -> None:
    async with pool_of() as pool:
        with pytest.raises(BadPicture, match="of no use") as refused:
            await run(pool, "refuse")
        assert refused.value.code == "unreadable"
        with pytest.raises(CannotEncode, match="does not fit"):
            await run(pool, "cannot")
        with pytest.raises(CodecBroken, match="our own mistake"):
            await run(pool, "fail")
        with pytest.raises(CodecBroken, match="may not answer with object"):
            await run(pool, "odd")
        assert len(pool.pids) == 1


async def test_arguments_that_cannot_be_sent_do_the_child_no_harm() -> None:
    async with pool_of() as pool:
        pid = await run(pool, "pid")
        with pytest.raises((TypeError, AttributeError)):
            await run(pool, "echo", data=lambda: None)
        assert await run(pool, "pid") == pid


async def test_what_a_codec_prints_does_not_garble_its_answer() -> None:
    async with pool_of() as pool:
        assert await run(pool, "chatter") == "said"
