"""Hooks that run between steps: logging, validation, sampling, checkpoints, stopping."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seisei import seeds
from seisei.batch import Batch, Examples
from seisei.capabilities import HasEncoderPosterior
from seisei.errors import DivergenceError, ResourceError, Stopped
from seisei.objectives.base import Objective
from seisei.training.loop import Rollback, Training
from seisei.training.run import RunFolder
from seisei.training.signals import EXIT_CODES, RUN, SAVE, Signals
from seisei.training.step import EMStep
from seisei.training.watch.rules import Watch

PATIENCE, ROLL_BACKS = 10, 3
ACTIVE = 0.01


@dataclass(frozen=True)
class Every:
    """Intervals in steps."""

    log: int
    check: int
    save: int

    @classmethod
    def of(cls, steps: int) -> Every:
        """About 200 log lines, 20 validations and 10 checkpoints; a checkpoint at least every 1,000 steps."""
        return cls(max(1, steps // 200), max(1, steps // 20), max(1, min(steps // 10, 1000)))


class Journal:
    """Writes events to the run's log and passes them to the watch."""

    def __init__(self, run: RunFolder, watch: Watch, *, quiet: bool) -> None:
        self.run, self.watch, self.quiet = run, watch, quiet

    def write(self, event: dict[str, Any]) -> None:
        """Log an event and the watch's findings about it."""
        if self.quiet:
            return
        clean = plain(event)
        self.run.log(clean)
        for finding in self.watch.look(clean):
            self.run.log(finding)


@dataclass
class Logging:
    """A log line every few steps: the mean of each loss term since the last line."""

    journal: Journal
    every: int

    def __call__(self, training: Training) -> None:
        """Log when it is time."""
        if training.step % self.every and not training.done:
            return
        seconds = max(1e-9, training.waited + training.worked)
        speed = {
            "learning_rate": training.rate,
            "examples_per_second": round(training.timed / seconds, 1),
            "waiting": round(training.waited / seconds, 3),
        }
        training.waited, training.worked, training.timed = 0.0, 0.0, 0
        since = (training.step - 1) // self.every * self.every
        for move in training.moves:
            if (training.step - 1) // move.turn.every * move.turn.every < since:
                continue  # This turn had no step since the last line.
            values = training.meter.means(training.engine, move.turn.name)
            first = {
                "event": "train",
                "step": training.step,
                "t": training.step / training.plan.steps,
                "turn": move.turn.name,
            }
            # If all steps of this turn were skipped, there is nothing to average and the loss is NaN.
            loss, norm = values.pop("loss", math.nan), values.pop("gradient_norm", math.nan)
            step = {**first, "loss": loss, "parts": values, "gradient_norm": norm, **speed}
            if isinstance(move, EMStep):  # It has no gradient.
                step = {k: v for k, v in step.items() if k not in ("gradient_norm", "learning_rate")} | {"swept": True}
            self.journal.write(step)


@dataclass
class Telling:
    """Reports the current step once a second, so that progress does not depend on the logging interval."""

    tell: Callable[[dict[str, Any]], None]
    last: float = 0.0

    def __call__(self, training: Training) -> None:
        """Report when it is time."""
        now = time.monotonic()
        if now - self.last >= 1:
            self.last = now
            self.tell({"event": "step", "step": training.step})


@dataclass
class Divergence:
    """Logs skipped steps with the non-finite term; too many in a row roll back to the newest checkpoint."""

    journal: Journal

    def __call__(self, training: Training) -> None:
        """Check the latest step."""
        bad = [
            move
            for move in training.moves
            if move.turn.name in training.moved and not training.moved[move.turn.name].taken
        ]
        if not bad:
            # Steps that skip an infrequent turn must not reset the count of its failures.
            training.skipped = 0 if len(training.moved) == len(training.moves) else training.skipped
            return
        training.skipped += 1
        examples = training.loader.order.at(training.step - 1).tolist()
        for move in bad:
            parts = {k: v for k, v in training.moved[move.turn.name].parts.items() if k != "gradient_norm"}
            # The process that logs may not be the one with the non-finite value.
            means = training.engine.mean(
                torch.stack([v.double() for v in parts.values()]).to(training.engine.device)
            ).tolist()
            terms = [name for name, value in zip(parts, means, strict=True) if not math.isfinite(value)]
            term = next((name for name in terms if name != "loss"), terms[0] if terms else "gradient")
            event = {"event": "skipped", "step": training.step, "turn": move.turn.name, "term": term}
            self.journal.write({**event, "tensor": move.first_bad(), "examples": examples[:64]})
        if training.skipped >= PATIENCE:
            raise Rollback


@dataclass
class Validation:
    """Evaluates held-out examples with the EMA weights: losses, scores, latent usage."""

    journal: Journal
    every: int
    batches: Callable[[], list[Batch]]
    known: Callable[[], list[Batch]]
    kinds: Sequence[str] = ()
    judge: Callable[[Objective, list[Batch]], dict[str, float]] | None = None

    def __call__(self, training: Training) -> None:
        """Validate when it is time."""
        if training.step % self.every and not training.done:
            return
        found = self._look(training)
        self._decide(training, found)
        if training.objective.adapts:
            # One process validates, all adapt; 0 where there was nothing to validate.
            agreed = training.engine.agree(round(1e6 * found.get("adapt", 0.0)))
            if agreed:
                training.objective.adapt(agreed / 1e6)

    def _decide(self, training: Training, found: dict[str, Any]) -> None:
        """Update the best weights, and check for early stopping."""
        names = training.objective.decides
        if not names:
            return
        scores = found.get("scores", {})
        value = next((float(scores[name]) for name in names if name in scores), math.nan)
        # One process validates, all decide; a missing value decides nothing.
        agreed = training.engine.agree(1 + round(1e6 * max(0.0, value)) if math.isfinite(value) else 0)
        if agreed and not training.judge((agreed - 1) / 1e6) and training.ended:
            assert training.best is not None
            self.journal.write({"event": "enough", "step": training.step, "best": training.best[1]})

    def _look(self, training: Training) -> dict[str, Any]:
        objective = training.shown()
        held_out = [] if objective is None else self.batches()
        if objective is None or not held_out:
            return {}

        def placed(batches: list[Batch]) -> list[Batch]:
            return [b.map(lambda x: x.to(training.engine.device)) for b in batches]

        with torch.no_grad(), seeds.seeded(training.seed, "validation"):
            result = validate(objective, placed(held_out), lambda: placed(self.known()))
            if self.judge is not None:
                result["scores"] = {**result["scores"], **self.judge(objective, placed(held_out))}
        event = {"event": "validation", "step": training.step, "t": training.step / training.plan.steps}
        told = {"examples": sum(map(len, held_out)), **{k: v for k, v in result.items() if k != "adapt"}}
        if self.kinds and "least_varied" in told:
            told["least_varied"] = self.kinds[told["least_varied"]]
        self.journal.write({**event, **told})
        return result


# Problem names that an objective may counteract, see `Objective.counter`.
TROUBLES = ("unsteady", "known", "collapsed")


@dataclass
class Countering:
    """While a finding is active that the objective can counteract, do so and log it.

    Only every few validations, so that each change has time to take effect.
    """

    journal: Journal
    every: int

    def __call__(self, training: Training) -> None:
        """Act when it is time."""
        if training.step % self.every or training.done:
            return
        active = self.journal.watch.active
        asked = {finding.counter: rule for rule, finding in active.items() if finding.counter}
        # One process watches, all act.
        flags = training.engine.agree(sum(1 << i for i, trouble in enumerate(TROUBLES) if trouble in asked))
        for i, trouble in enumerate(TROUBLES):
            if flags >> i & 1 and (done := training.objective.counter(trouble)):
                event = {"event": "remedy", "step": training.step, "rule": asked.get(trouble), "done": done}
                self.journal.write(event)


@dataclass
class Sampling:
    """A grid of samples every few steps, always from the same noise, and statistics of the samples."""

    journal: Journal
    run: RunFolder
    every: int
    draw: Callable[[Objective], tuple[bytes, dict[str, Any]] | None]

    def __call__(self, training: Training) -> None:
        """Sample when it is time."""
        if training.step % self.every and not training.done:
            return
        objective = training.shown()
        if objective is None:
            return
        with torch.no_grad(), seeds.seeded(training.seed, "samples"):
            drawn = self.draw(objective)
        if drawn is not None:
            image, measured = drawn
            name = f"samples/step-{training.step:08d}.png"
            try:
                self.run.write(name, image)
            except ResourceError as error:
                self.journal.write({"event": "trouble", "step": training.step, "what": str(error)})
                return
            event = {"event": "samples", "step": training.step, "t": training.step / training.plan.steps}
            self.journal.write({**event, "file": name, **measured})


@dataclass
class Saving:
    """Saves checkpoints, and stops when a signal requests it."""

    journal: Journal
    run: RunFolder
    every: int
    signals: Signals
    on_disk_full: str = "wait"

    def __call__(self, training: Training) -> None:
        """Save when it is due or requested; stop when requested."""
        flag = training.engine.agree(self.signals.take())
        last = training.done
        best = training.best is not None and training.best[1] == training.step
        # After a skipped step the weights are finite but may be beyond recovery: do not save them.
        due = (training.step % self.every == 0 or best) and not training.skipped
        if due or flag != RUN or last:
            self.save(training, must=last or flag > SAVE)
        if flag > SAVE and not last:
            message = (
                f"stopped at step {training.step} of {training.plan.steps}; resume with: {self.run.resume_command}"
            )
            raise Stopped(message, EXIT_CODES[flag])

    def save(self, training: Training, *, must: bool) -> None:
        """Write a checkpoint; a full disk is logged, and is fatal only if this checkpoint must be written."""
        tensors, state = training.state()
        self.run.checkpoints.pinned = None if training.best is None else training.best[1]
        trouble: Exception | None = None
        if training.engine.is_main:
            try:
                self.run.check()
                self.run.checkpoints.save(training.step, tensors, {**state, "log_bytes": self.run.log_size()})
            except (ResourceError, ValueError) as error:
                trouble = error
        # All processes learn the outcome of the one that writes.
        outcome = training.engine.agree(0 if trouble is None else 1 if isinstance(trouble, ResourceError) else 2)
        if outcome == 2 and training.step == 0:
            problem, remedy = (
                f"the initial weights are not finite ({trouble})",
                "change the initialization or the pretrained weights",
            )
            raise DivergenceError("E-TRN-26", self.run.path, problem, remedy)
        if outcome == 2:
            raise Rollback
        if outcome == 1 and (must or self.on_disk_full == "stop"):
            raise trouble or Stopped("the process that writes ran out of disk", ResourceError.exit_code)
        if outcome == 1:
            self.journal.write({"event": "trouble", "step": training.step, "what": str(trouble)})


def validate(objective: Objective, batches: list[Batch], known: Examples) -> dict[str, Any]:
    """The objective's scores on held-out batches, and latent usage for a model with an encoder posterior.

    A latent dimension is active if the variance of its posterior mean over examples exceeds 0.01 (*Importance Weighted
    Autoencoders (Burda, Grosse, Salakhutdinov, 2015)*).
    """
    found = objective.examine(batches, known)
    kls: list[Tensor] = []
    means: list[Tensor] = []
    for batch in batches if isinstance(objective.model, HasEncoderPosterior) else ():
        q = objective.model.posterior(batch.visible, batch.y, batch.mask)
        kls.append(q.kl_to_standard())
        means.append(q.mean)
    if kls:
        found["kl_per_dimension"] = [round(v, 4) for v in torch.cat(kls).mean(0).tolist()]
        every = torch.cat(means)
        if len(every) > 1:  # One example has no variance.
            found["active_units"] = int((every.var(0) > ACTIVE).sum())
    return found


def recover(run: RunFolder, journal: Journal) -> Callable[[Training], None]:
    """Returns a function that rolls back to the newest checkpoint at half the learning rate, a few times at most.

    If training diverges again, that checkpoint's weights may already be beyond recovery: the next rollback discards it
    and uses the one before.

    Raises (when called):
        DivergenceError: training still diverges after the last rollback.
    """
    tried: list[int] = []

    def back(training: Training) -> None:
        at, times, factor = training.step, training.rollbacks + 1, training.rate_factor * 0.5
        if times > ROLL_BACKS:
            problem = f"losses or weights are not finite at step {at}, after {ROLL_BACKS} rollbacks to a checkpoint"
            remedy = "check the data, or lower the learning rate: --set optim.learning_rate=1e-4"
            raise DivergenceError("E-TRN-26", run.path, problem, remedy)
        training.engine.first(lambda: run.checkpoints.give_up(tried[-1]) if tried else None)
        checkpoint, _ = run.checkpoints.newest()
        training.engine.same("E-DST-12", str(run.path), checkpoint.step)
        tried.append(checkpoint.step)
        training.restore(checkpoint)
        training.rollbacks, training.rate_factor, training.skipped = times, factor, 0
        journal.write({"event": "rollback", "from": at, "step": training.step, "rate_factor": factor})

    return back


def plain(value: Any) -> Any:
    """The value as logged: floats to 8 significant digits (float32 precision), None if not finite (JSON has no NaN).

    Example:
        >>> plain({"loss": 0.1234567890123, "norm": math.inf})
        {'loss': 0.12345679, 'norm': None}
    """
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value
