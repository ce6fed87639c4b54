"""Two media processes call each other over loopback, and their ends are looked at."""

import asyncio
import os
import signal
import socket
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from media import demand
from media.forker import started_at
from media.pool import MediaPool, MediaProcess
from media.types import Codecs, DhConfig, MediaError, MediaLost, MediaSettings
from media.zygote import PRIORITY

# Telegram's own 2048-bit prime, from messages.dhConfig.
P = bytes.fromhex(
    "C71CAEB9C6B1C9048E6C522F70F13F73980D40238E3E21C14934D037563D930F48198A0AA7C14058229493D22530F4DBFA336F6E0AC925139543AED4"
    "4CCE7C3720FD51F69458705AC68CD4FE6B6B13ABDC9746512969328454F18FAF8C595F642477FE96BB2A941D5BCD1D4AC8CC49880708FA9B378E3C4F"
    "3A9060BEE67CF9A4A4A695811051907E162753B56B0F6B410DBA74D8A84B2A14B3144E0EF1284754FD17ED950D5965B4B9DD46582DB1178D169C6BC4"
    "65B0D6FF9CA3928FEF5B9AE4E418FC15E83EBEA0F87FA9FF5EED70050DED2849F47BF959D956850CE929851F0D8115F635B105EE2E4E15D04B2454BF"
    "6F4FADF034B10403119CD8E3B92FCC5B"
)
VERSIONS = ("8.0.0", "9.0.0", "12.0.0", "13.0.0")
CONNECT_TIMEOUT_S = 20
RATE = 48_000


def dh() -> DhConfig:
    return DhConfig(3, P, os.urandom(256))


def tone(hertz: float, seconds: float) -> NDArray[np.int16]:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.int16)


def write_wav(path: Path, pcm: NDArray[np.int16]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def frequency(pcm: NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * RATE / len(pcm))


async def exchange_keys(caller: MediaProcess, callee: MediaProcess) -> None:
    g_a_hash = await caller.offer(dh())
    g_b = await callee.answer(dh(), g_a_hash)
    agreed = await caller.agree(g_b, 0)
    verified = await callee.agree(agreed.g_a_or_b, agreed.key_fingerprint)
    assert verified.key_fingerprint == agreed.key_fingerprint


@asynccontextmanager
async def signalling(one: MediaProcess, other: MediaProcess) -> AsyncIterator[None]:
    async def relay(source: MediaProcess, sink: MediaProcess) -> None:
        async for data in source.signals():
            with suppress(MediaLost):
                await sink.signal(data)

    async with asyncio.TaskGroup() as tasks:
        relays = [tasks.create_task(relay(one, other)), tasks.create_task(relay(other, one))]
        yield
        for task in relays:
            task.cancel()


async def connect(*processes: MediaProcess) -> None:
    for process in processes:
        await process.connect((), VERSIONS, True, None)
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        for process in processes:
            await process.connected()


@asynccontextmanager
async def call(pool: MediaPool) -> AsyncIterator[tuple[MediaProcess, MediaProcess]]:
    """A caller and a callee, keys agreed on, signalling relayed; not connected yet."""
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(pool.process("caller"))
        callee = await stack.enter_async_context(pool.process("callee"))
        await exchange_keys(caller, callee)
        await stack.enter_async_context(signalling(caller, callee))
        yield caller, callee


async def test_each_party_hears_the_other(tmp_path: Path) -> None:
    files = {
        name: (write_wav(tmp_path / f"{name}.wav", tone(hertz, 3)), tmp_path / f"heard-by-{name}.wav")
        for name, hertz in (("caller", 440), ("callee", 1000))
    }
    async with MediaPool(tmp_path / ("a folder with a long name " * 5)) as pool, call(pool) as (caller, callee):
        await caller.attach_files(*files["caller"])
        await callee.attach_files(*files["callee"])
        await connect(caller, callee)
        await asyncio.sleep(3)
        stats = await caller.stats()
        print(stats)
        assert stats.transport == "files"
        assert stats.connected_ms >= 2900
    for listener, hertz in (("caller", 1000), ("callee", 440)):
        heard = read_wav(files[listener][1])
        loud = np.flatnonzero(np.abs(heard) > 1000)
        middle = heard[loud[0] + RATE // 2 : loud[0] + 2 * RATE]
        assert abs(frequency(middle) - hertz) < 5
        blocks = middle[: len(middle) // 480 * 480].reshape(-1, 480).astype(float).std(axis=1)
        assert blocks.min() > 1000, "a gap in the tone"


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits for its parent to take note does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int, seconds: float) -> bool:
    """Wait for the end of a process that is not our child, which has no event but its pidfd."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, ended.set)
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return True


async def spare_processes(pool: MediaPool, count: int) -> list[int]:
    """Wait until the pool is full."""
    async with asyncio.timeout(20):
        while len(pool.spare_pids()) < count:  # noqa: ASYNC110 - the pool tells nobody about its spares
            await asyncio.sleep(0.05)
    return pool.spare_pids()


async def test_a_crash_ends_one_call_and_the_pool_is_refilled(tmp_path: Path) -> None:
    run = tmp_path / "run"
    async with MediaPool(run, warm=1) as pool:
        async with call(pool) as (caller, callee):
            await connect(caller, callee)
            os.kill(callee.pid, signal.SIGSEGV)
            async with asyncio.timeout(10):
                loss = await callee.lost()
            assert "SIGSEGV" in loss.reason
            assert str(callee.pid) in loss.reason
            with pytest.raises(MediaLost, match="SIGSEGV"):
                await callee.stats()
            with pytest.raises(MediaLost, match="SIGSEGV"):
                await callee.connected()
            assert (await caller.stats()).connected_ms > 0, "the other call's process goes on"
        async with pool.process("next") as process:
            assert len(await process.offer(dh())) == 32


async def test_a_request_that_is_pending_when_the_process_dies_fails(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool, pool.process("one") as process:
        os.kill(process.pid, signal.SIGSTOP)
        pending = asyncio.ensure_future(process.stats())
        await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(MediaLost, match="SIGKILL"):
            await pending
        with pytest.raises(MediaLost, match="SIGKILL"):
            await process.connected()


async def test_a_dead_spare_is_replaced(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=1) as pool:
        async with pool.process("first"):
            pass
        spares = await spare_processes(pool, 1)
        os.kill(spares[0], signal.SIGKILL)
        assert await gone(spares[0], 5)
        async with pool.process("second") as process:
            assert process.pid != spares[0]
            await process.stats()


async def test_a_burst_finds_as_many_as_came_before_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "SECOND_S", 60.0)  # however busy the machine is, they come in one
    async with MediaPool(tmp_path / "run", warm=1) as pool:
        async with AsyncExitStack() as calls:
            for number in range(6):
                await calls.enter_async_context(pool.process(f"{number}"))
            ready = await spare_processes(pool, 6)
            at_once = await asyncio.gather(*(calls.enter_async_context(pool.process(f"more {n}")) for n in range(6)))
            assert {process.pid for process in at_once} == set(ready)
            spares = await spare_processes(pool, 12)
        monkeypatch.setattr(demand, "SECOND_S", 0.0)
        monkeypatch.setattr(demand, "KEPT_S", 0.0)
        async with pool.process("one more"):
            pass
        async with asyncio.timeout(20):
            while len(pool.spare_pids()) > 1:  # noqa: ASYNC110 - the pool tells nobody about its spares
                await asyncio.sleep(0.05)
        ended = set(spares) - set(pool.spare_pids())
        assert len(ended) >= 11
        assert all(await asyncio.gather(*(gone(pid, 10) for pid in ended)))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it is no folder to be walked


async def test_nothing_is_left(tmp_path: Path) -> None:
    run = tmp_path / "run"
    before = descriptors()
    pids: set[int] = set()
    async with MediaPool(run, warm=2) as pool, call(pool) as (caller, callee):
        await connect(caller, callee)
        await spare_processes(pool, 2)
        assert pool.zygote_pid is not None
        pids = {caller.pid, callee.pid, pool.zygote_pid, *pool.spare_pids()}
        assert len(pids) == 5
        assert run.stat().st_mode & 0o777 == 0o700
        sockets = list(run.iterdir())
        assert len(sockets) == 4
        assert {path.stat().st_mode & 0o777 for path in sockets} == {0o600}
    assert not [pid for pid in pids if alive(pid)]
    assert not list(run.iterdir())
    assert descriptors() == before


async def test_media_processes_go_before_ordinary_programs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Or it is said, once, that they may not."""
    caplog.set_level("INFO", "media")
    async with MediaPool(tmp_path / "run", warm=0) as pool, call(pool) as (caller, callee):
        await connect(caller, callee)
        threads = [each.id for process in (caller, callee) for each in psutil.Process(process.pid).threads()]
        found = {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
    said = [each.message for each in caplog.records if "priority" in each.message]
    print(len(threads), found, said)
    assert (found, len(said)) in [({PRIORITY}, 0), ({os.getpriority(os.PRIO_PROCESS, 0)}, 1)]


async def test_an_exception_in_a_call_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        async with MediaPool(tmp_path / "run", warm=0) as pool, pool.process("one"):
            raise KeyError("from the call")
    assert not list((tmp_path / "run").iterdir())


async def test_a_stuck_process_is_killed(tmp_path: Path) -> None:
    settings = MediaSettings(stop_grace_s=0.5)
    async with MediaPool(tmp_path / "run", warm=0, settings=settings) as pool:
        async with pool.process("one") as process:
            os.kill(process.pid, signal.SIGSTOP)
        assert not alive(process.pid)
        assert "SIGKILL" in (await process.lost()).reason


async def test_a_process_that_cannot_end_is_ended_by_its_own_watchdog(tmp_path: Path) -> None:
    fifo = tmp_path / "nobody-reads.wav"
    os.mkfifo(fifo)
    settings = MediaSettings(stop_grace_s=60, request_timeout_s=1)
    async with MediaPool(tmp_path / "run", warm=0, settings=settings) as pool, pool.process("one") as process:
        with pytest.raises(MediaError, match="attach_files within 1 s"):
            await process.attach_files(None, fifo)  # opening it holds a thread of the process for ever
        os.kill(process.pid, signal.SIGTERM)
        async with asyncio.timeout(30):
            assert "with code 1" in (await process.lost()).reason


async def test_a_socket_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(run / "old.sock"))
    async with MediaPool(run, warm=0):
        assert not list(run.iterdir())


async def test_a_dead_zygote_is_replaced(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        async with pool.process("before") as before:
            zygote = pool.zygote_pid
            assert zygote is not None
            os.kill(zygote, signal.SIGKILL)
            assert await gone(zygote, 10)
            assert (await before.stats()).transport is None, "the calls go on"
            async with pool.process("after") as after:
                assert after.pid != before.pid
        assert not alive(before.pid)


async def test_a_zygote_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool, pool.process("before") as before:
        zygote = pool.zygote_pid
        assert zygote is not None
        os.kill(zygote, signal.SIGSTOP)
        monkeypatch.setattr("media.forker.FORK_TIMEOUT_S", 0.2)
        with pytest.raises(MediaError, match=f"The zygote {zygote} is replaced"):
            async with pool.process("during"):
                pass
        monkeypatch.undo()
        assert await gone(zygote, 10)
        assert (await before.stats()).transport is None, "the calls go on"
        async with pool.process("after") as after:
            await after.stats()


async def test_a_zygote_that_hangs_at_the_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.forker.END_TIMEOUT_S", 0.1)
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        async with pool.process("one"):
            zygote = pool.zygote_pid
        assert zygote is not None
        os.kill(zygote, signal.SIGSTOP)
    assert not alive(zygote)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), OSError(24, "Too many open files")], ids=repr)
async def test_a_zygote_whose_start_fails_halfway_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """The call that needed it first may be given up meanwhile."""
    open_connection, failing, before = asyncio.open_unix_connection, [error], set(psutil.Process().children())

    async def once(*arguments: Any, **options: Any) -> Any:
        if failing:
            raise failing.pop()
        return await open_connection(*arguments, **options)

    monkeypatch.setattr("media.forker.asyncio.open_unix_connection", once)
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        with pytest.raises((MediaError, asyncio.CancelledError)):
            async with pool.process("first"):
                pass
        async with pool.process("second") as second:
            await second.stats()
            left = {each.pid for each in set(psutil.Process().children()) - before} - {pool.zygote_pid}
            assert all([await gone(pid, 10) for pid in left])


async def test_a_process_that_comes_when_nobody_waits_any_more_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its call was given up, and then the program ends: the zygote's answer is waited for."""
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        async with pool.process("first"):
            zygote = pool.zygote_pid
        assert zygote is not None
        os.kill(zygote, signal.SIGSTOP)
        starting = asyncio.create_task(pool.process("second").__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        asyncio.get_running_loop().call_later(0.1, os.kill, zygote, signal.SIGCONT)
    assert not list((tmp_path / "run").iterdir())
    assert not alive(zygote)


@pytest.mark.parametrize("error", [ProcessLookupError(3, "No such process"), OSError(24, "Too many open files")])
async def test_a_process_that_cannot_be_watched_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    """It may have died by the time that it is told of; or there are no descriptors left."""
    async with MediaPool(tmp_path / "run", warm=0) as pool, pool.process("before") as before:
        zygote, pidfd_open = pool.zygote_pid, os.pidfd_open
        failing = [error, error]

        def sometimes(pid: int) -> int:
            if failing:
                raise failing.pop()
            return pidfd_open(pid)

        monkeypatch.setattr("media.forker.os.pidfd_open", sometimes)
        with pytest.raises(MediaError, match=error.strerror):
            async with pool.process("during"):
                pass
        failing.clear()
        assert (await before.stats()).transport is None, "the other calls go on"
        async with pool.process("after") as after:
            assert len(await after.offer(dh())) == 32
        assert pool.zygote_pid == zygote


async def test_a_process_that_died_at_once_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        pidfd_open, failing = os.pidfd_open, [ProcessLookupError(3, "No such process")]

        def once(pid: int) -> int:
            if failing:
                os.kill(pid, signal.SIGKILL)
                raise failing.pop()
            return pidfd_open(pid)

        monkeypatch.setattr("media.forker.os.pidfd_open", once)
        async with pool.process("one") as process:
            await process.stats()
    assert not list((tmp_path / "run").iterdir())


async def test_sigterm_ends_a_process_cleanly(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool, pool.process("one") as process:
        os.kill(process.pid, signal.SIGTERM)
        async with asyncio.timeout(10):
            assert "with code 0" in (await process.lost()).reason


async def test_an_orphan_goes_on_talking_and_then_ends(tmp_path: Path) -> None:
    """The pool lives in a process of its own, which is killed in the middle of a call."""
    heard = tmp_path / "heard.wav"
    write_wav(tmp_path / "tone.wav", tone(440, 30))
    source = f"""
import asyncio
from pathlib import Path
from typing import Any
from media.pool import MediaPool
from media.types import MediaSettings
from tests.integration.test_media_process import call, connect
async def main():
    folder = Path({str(tmp_path)!r})
    async with MediaPool(folder / "run", warm=1, settings=MediaSettings(orphan_grace_s=2.0)) as pool:
        async with call(pool) as (caller, callee):
            await caller.attach_files(folder / "tone.wav", None)
            await callee.attach_files(None, folder / "heard.wav")
            await connect(caller, callee)
            while (await callee.stats()).level_from_telegram_dbfs < -40:
                await asyncio.sleep(0.1)
            print(caller.pid, callee.pid, pool.zygote_pid, *pool.spare_pids(), flush=True)
            await asyncio.Event().wait()
asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    controller = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE, cwd=root
    )
    assert controller.stdout is not None
    async with asyncio.timeout(60):
        pids = [int(word) for word in (await controller.stdout.readline()).split()]
    controller.kill()
    await controller.wait()
    calls, others = pids[:2], pids[2:]
    assert all([await gone(pid, 10) for pid in others]), "the zygote and the spares end at once"
    assert all([await gone(pid, 20) for pid in calls]), "the call's processes end after their time"
    pcm = read_wav(heard)
    seconds_of_tone = np.count_nonzero(np.abs(pcm) > 1000) / RATE
    assert seconds_of_tone > 1.0, "the call went on without its controller"
    assert not list((tmp_path / "run").glob("*.sock"))


async def test_requests_in_the_wrong_order_say_so(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=0) as pool, pool.process("one") as process:
        with pytest.raises(MediaError, match="offer or answer"):
            await process.agree(b"", 0)
        with pytest.raises(MediaError, match="listen_rtp"):
            await process.attach_rtp("127.0.0.1", 4000, Codecs("opus", "g722"))
        with pytest.raises(MediaError, match=r"missing\.wav"):
            await process.attach_files(tmp_path / "missing.wav", None)
        with pytest.raises(MediaError, match=r"192\.0\.2\.1"):
            await process.listen_rtp("192.0.2.1")
        await process.attach_files(None, None)
        with pytest.raises(MediaError, match="one way to Asterisk"):
            await process.attach_files(None, None)


async def test_a_forged_key_is_refused(tmp_path: Path) -> None:
    async with (
        MediaPool(tmp_path / "run", warm=2) as pool,
        pool.process("caller") as caller,
        pool.process("callee") as callee,
    ):
        g_b = await callee.answer(dh(), await caller.offer(dh()))
        agreed = await caller.agree(g_b, 0)
        with pytest.raises(MediaError, match="key"):
            await callee.agree(agreed.g_a_or_b, agreed.key_fingerprint ^ 1)


async def test_the_other_party_going_is_a_loss(tmp_path: Path) -> None:
    async with MediaPool(tmp_path / "run", warm=2) as pool, call(pool) as (caller, callee):
        await connect(caller, callee)
        os.kill(callee.pid, signal.SIGTERM)
        async with asyncio.timeout(60):  # ICE takes 20 to 30 s to give a silent party up
            assert "after it was connected" in (await caller.lost()).reason


LEAVES_A_CALL = """
import asyncio, sys
from pathlib import Path
from typing import Any
from media.pool import MediaPool
from tests.integration.test_media_process import call, connect
async def main():
    folder = Path(sys.argv[1])
    async with MediaPool(folder / "run", warm=0) as pool, call(pool) as (caller, callee):
        await caller.attach_files(folder / "tone.wav", None)
        await callee.attach_files(None, folder / "heard.wav")
        await connect(caller, callee)
        print(caller.pid, caller.path, callee.pid, callee.path, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
"""A controller that is killed in the middle of a call; prints its processes and their sockets."""


async def test_a_pool_that_ends_while_its_first_processes_are_forked_leaves_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    async with MediaPool(run, warm=2) as pool:
        await pool.protocol()  # which comes before the zygote has loaded the rest
    assert not list(run.iterdir())


async def left_call(folder: Path) -> list[tuple[int, Path]]:
    """The media processes, caller and callee, of a call whose controller has been killed."""
    write_wav(folder / "tone.wav", tone(440, 60))
    controller = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEAVES_A_CALL, folder, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert controller.stdout is not None
    async with asyncio.timeout(60):
        words = (await controller.stdout.readline()).decode().split()
    controller.kill()
    await controller.wait()
    return [(int(words[0]), Path(words[1])), (int(words[2]), Path(words[3]))]


async def test_a_call_is_adopted_by_the_next_controller(tmp_path: Path) -> None:
    caller, callee = await left_call(tmp_path)
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        async with (
            pool.adopted("caller", *caller) as one,
            pool.adopted("callee", *callee) as other,
            signalling(one, other),  # on a busy machine they have not agreed on all of it at the kill
        ):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await one.connected()
                await other.connected()
            before = await other.stats()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):  # until the tone is heard, still
                while (after := await other.stats()).level_from_telegram_dbfs <= -40:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.1)
            assert after.connected_ms > before.connected_ms
        assert await gone(caller[0], 5), "closed as one of its own"
        assert await gone(callee[0], 5)
    assert not list((tmp_path / "run").glob("*.sock"))


async def test_a_later_process_with_its_pid_is_not_adopted_nor_ended(tmp_path: Path) -> None:
    (pid, path), callee = await left_call(tmp_path)
    started = started_at(pid)
    assert started
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        with pytest.raises(MediaError, match="is gone"):
            async with pool.adopted("caller", pid, path, started + 1):
                raise AssertionError
        async with pool.left_alone(pid, started + 1), pool.left_alone(2**22, started):
            pass
        async with pool.adopted("caller", pid, path, started) as one:
            assert one.started == started
            assert (await one.stats()).connected_ms > 0
        async with pool.left_alone(callee[0], started_at(callee[0]) or 0):
            assert alive(callee[0])
        assert await gone(callee[0], 5)
    assert not alive(pid)


async def test_processes_that_nobody_knows_are_ended(tmp_path: Path) -> None:
    (pid, path), callee = await left_call(tmp_path)
    async with MediaPool(tmp_path / "run", warm=1) as pool:
        spares = await spare_processes(pool, 1)
        await pool.end_unknown({path.name})
        assert await gone(callee[0], 5)
        assert alive(pid)
        assert alive(spares[0])
        async with pool.adopted("caller", pid, path) as one:
            await one.stats()


async def test_a_process_that_ends_once_adopted_is_lost(tmp_path: Path) -> None:
    caller, callee = await left_call(tmp_path)
    async with (
        MediaPool(tmp_path / "run", warm=0) as pool,
        pool.adopted("caller", *caller) as one,
        pool.adopted("callee", *callee),
        asyncio.timeout(10),
    ):
        os.kill(one.pid, signal.SIGKILL)
        await one.lost()


async def test_a_process_that_is_not_the_calls_is_refused_and_goes_on(tmp_path: Path) -> None:
    caller, callee = await left_call(tmp_path)
    async with MediaPool(tmp_path / "run", warm=0) as pool:
        for call_id, pid, path in (
            ("other", *caller),  # of another call
            ("caller", os.getpid(), caller[1]),  # the socket of another process
            ("caller", caller[0], tmp_path / "nothing.sock"),
            ("caller", 2**22, caller[1]),  # no process at all
        ):
            with pytest.raises(MediaError):
                async with pool.adopted(call_id, pid, path):
                    raise AssertionError
        async with pool.adopted("caller", *caller) as one, pool.adopted("callee", *callee):
            assert (await one.stats()).connected_ms > 0
