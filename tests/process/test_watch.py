import asyncio

from tidegate.config.source import FileSource, digest_of
from tidegate.process import tasks
from tidegate.process.watch import watch


class Watched:
    """A file that is watched, and the texts that were found in it after a change."""

    def __init__(self, path, known=""):
        self.path = path
        self.known = known
        self.read = []
        self.is_on = True
        self.asked = 0

    def source(self):
        self.asked += 1
        return FileSource(self.path) if self.is_on else None

    async def changed(self):
        self.read.append(self.path.read_text())

    def start(self):
        return tasks.start(
            watch(
                self.source,
                lambda: digest_of(self.known),
                self.changed,
                period_s=0.01,
            ),
            "watch",
        )

    async def until(self, texts):
        async with asyncio.timeout(20):
            while self.read != texts:  # noqa: ASYNC110 - what is waited for is in another thread's file
                await asyncio.sleep(0.005)

    async def looks(self):
        """Several looks, after which nothing more is to be expected."""
        enough = self.asked + 6
        async with asyncio.timeout(20):
            while self.asked < enough:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)


def run(scenario, path, **more):
    watched = Watched(path, **more)

    async def main():
        task = watched.start()
        await scenario(watched)
        task.cancel()

    asyncio.run(main())


def test_each_change_is_read_once_however_it_is_made(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("one")

    async def scenario(watched):
        await watched.looks()
        assert watched.read == []
        path.write_text("two")
        await watched.until(["two"])
        (tmp_path / "new").write_text("three")
        (tmp_path / "new").replace(path)
        await watched.until(["two", "three"])
        await watched.looks()
        assert watched.read == ["two", "three"]

    run(scenario, path, known="one")


def test_change_before_the_first_look_is_seen(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("new")

    async def scenario(watched):
        await watched.until(["new"])

    run(scenario, path, known="old")


def test_file_that_is_gone_is_waited_for(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("one")

    async def scenario(watched):
        await watched.looks()
        path.unlink()
        await watched.looks()
        assert watched.read == []
        path.write_text("two")
        await watched.until(["two"])

    run(scenario, path, known="one")


def test_nothing_is_read_while_it_is_switched_off(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("one")

    async def scenario(watched):
        watched.is_on = False
        await watched.looks()
        path.write_text("two")
        await watched.looks()
        assert watched.read == []
        watched.is_on = True
        await watched.until(["two"])

    run(scenario, path, known="one")
