"""One lock for threads and event loops: fair, and never released by who did not get it."""

import asyncio
import threading

import pytest

from langchain_qwen_memory.steps.locks import TurnLock


async def hold(lock, log, name):
    async with lock.aheld():
        log.append(name)


async def test_who_came_first_goes_first():
    """Waiters get the lock in the order in which they came."""
    lock, log = TurnLock(), []
    async with lock.aheld():
        waiting = [asyncio.create_task(hold(lock, log, n)) for n in range(5)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert log == [0, 1, 2, 3, 4]


async def test_who_is_cancelled_while_waiting_releases_nothing():
    """A cancelled waiter leaves the queue; the lock stays with its holder, then goes to the next."""
    lock, log = TurnLock(), []
    async with lock.aheld():
        cancelled, waiting = (asyncio.create_task(hold(lock, log, name)) for name in "ab")
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0.01)
        assert log == []
    await asyncio.wait_for(waiting, 5)
    assert log == ["b"]


async def test_who_is_cancelled_when_the_lock_was_given_passes_it_on():
    """The lock was handed over and the waiter cancelled in the same moment: the next one gets it."""
    lock, log = TurnLock(), []
    async with lock.aheld():
        cancelled, waiting = (asyncio.create_task(hold(lock, log, name)) for name in "ab")
        await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await asyncio.wait_for(waiting, 5)
    assert log == ["b"]


def test_a_waiter_whose_loop_is_gone_is_passed_over():
    """A loop is closed under its waiter; a thread that waits behind it gets the lock."""
    lock, got = TurnLock(), threading.Event()

    def hold_in_thread():
        with lock.held():
            got.set()

    with lock.held():
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(hold(lock, [], "nobody"))
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        waiting._log_destroy_pending = False
        other = threading.Thread(target=hold_in_thread)
        other.start()
    assert got.wait(5)
    other.join()
