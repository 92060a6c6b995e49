"""`--all-must-pass`: a run counts only when every collected test ran and passed.

Skipped, deselected, expected to fail and unexpectedly passed all break it, and so does a file that skips itself while
it is collected. `scripts/test` runs with it; without the option nothing changes. Under pytest-xdist every worker
collects everything and runs its share: the workers' counts are compared and their breaches come home with them.
"""

from __future__ import annotations

import pytest

OPTION = "all_must_pass"


class Completeness:
    """Counts what was collected and what came of it."""

    def __init__(self) -> None:
        self.collected = 0
        self.passed = 0
        self.others: list[str] = []

    def note(self, breach: str) -> None:
        if breach not in self.others:
            self.others.append(breach)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        self.collected += 1

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        for item in items:
            self.note(f"deselected: {item.nodeid}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self.note(f"{report.outcome} while collecting: {report.nodeid}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        expected = hasattr(report, "wasxfail")
        if report.when == "call" and report.outcome == "passed" and not expected:
            self.passed += 1
        elif expected or report.outcome != "passed":
            kind = "expected to fail" if expected else report.outcome
            self.note(f"{kind}: {report.nodeid}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """A worker of pytest-xdist has ended: what it collected, and what it left out."""
        collected, others = getattr(node, "workeroutput", {}).get(OPTION, (0, [f"a worker died: {error}"]))
        self.collected = max(self.collected, collected)
        for breach in others:
            self.note(breach)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output[OPTION] = (self.collected, self.others)
        elif not self.complete and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.complete:
            terminalreporter.section("not every test ran and passed", red=True, bold=True)
            for line in self.others:
                terminalreporter.line(line)
        terminalreporter.line(f"collected {self.collected}, passed {self.passed}")

    @property
    def complete(self) -> bool:
        return self.collected == self.passed > 0 and not self.others


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-must-pass", action="store_true", dest=OPTION, help="collected must equal passed")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption(OPTION):
        config.pluginmanager.register(Completeness(), "completeness")
