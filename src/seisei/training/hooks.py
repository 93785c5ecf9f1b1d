"""What happens between steps: log, look, sample, save, stop."""

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
    """How often things happen, in steps."""

    log: int
    check: int
    save: int

    @classmethod
    def of(cls, steps: int) -> Every:
        """About 200 lines of log, 20 validations, 10 checkpoints; a checkpoint at least every 1,000 steps."""
        return cls(max(1, steps // 200), max(1, steps // 20), max(1, min(steps // 10, 1000)))


class Journal:
    """Writes events to the run's log and shows them to the watch."""

    def __init__(self, run: RunFolder, watch: Watch, *, quiet: bool) -> None:
        self.run, self.watch, self.quiet = run, watch, quiet

    def write(self, event: dict[str, Any]) -> None:
        """Log an event, and what the watch has to say about it."""
        if self.quiet:
            return
        clean = plain(event)
        self.run.log(clean)
        for finding in self.watch.look(clean):
            self.run.log(finding)


@dataclass
class Logging:
    """A line every few steps: the mean of each term since the last line."""

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
                continue  # It was nobody's turn since the last line.
            values = training.meter.means(training.engine, move.turn.name)
            first = {
                "event": "train",
                "step": training.step,
                "t": training.step / training.plan.steps,
                "turn": move.turn.name,
            }
            # Nothing was counted when no step of this turn was taken: the loss is then not a number.
            loss, norm = values.pop("loss", math.nan), values.pop("gradient_norm", math.nan)
            step = {**first, "loss": loss, "parts": values, "gradient_norm": norm, **speed}
            if isinstance(move, EMStep):  # It descends nothing.
                step = {k: v for k, v in step.items() if k not in ("gradient_norm", "learning_rate")} | {"swept": True}
            self.journal.write(step)


@dataclass
class Telling:
    """Once a second, the step: what shows progress must not depend on how often a line is logged."""

    tell: Callable[[dict[str, Any]], None]
    last: float = 0.0

    def __call__(self, training: Training) -> None:
        """Tell when it is time."""
        now = time.monotonic()
        if now - self.last >= 1:
            self.last = now
            self.tell({"event": "step", "step": training.step})


@dataclass
class Divergence:
    """Steps that were not taken: each is logged by name; too many in a row go back to the newest checkpoint."""

    journal: Journal

    def __call__(self, training: Training) -> None:
        """Look at the step that was just made."""
        bad = [
            move
            for move in training.moves
            if move.turn.name in training.moved and not training.moved[move.turn.name].taken
        ]
        if not bad:
            # A turn that moves every few steps must not be forgiven by the steps between.
            training.skipped = 0 if len(training.moved) == len(training.moves) else training.skipped
            return
        training.skipped += 1
        examples = training.loader.order.at(training.step - 1).tolist()
        for move in bad:
            parts = {k: v for k, v in training.moved[move.turn.name].parts.items() if k != "gradient_norm"}
            # The process that writes may not be the one that met it.
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
    """What the objective makes of held-out examples, with the averaged weights, and how the latent is used."""

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
            # One process looks, all adapt; 0 where there was nothing to see.
            agreed = training.engine.agree(round(1e6 * found.get("adapt", 0.0)))
            if agreed:
                training.objective.adapt(agreed / 1e6)

    def _decide(self, training: Training, found: dict[str, Any]) -> None:
        """Whether these are the best weights, and whether it is enough."""
        names = training.objective.decides
        if not names:
            return
        scores = found.get("scores", {})
        value = next((float(scores[name]) for name in names if name in scores), math.nan)
        # One process looks, all decide; what was not seen decides nothing.
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


# What the watch may ask of an objective.
TROUBLES = ("unsteady", "known", "collapsed")


@dataclass
class Countering:
    """While the watch has something to say that the objective can do something about, do it, and log what was done.

    Every few validations only, so that what was done has time to show.
    """

    journal: Journal
    every: int

    def __call__(self, training: Training) -> None:
        """Look when it is time."""
        if training.step % self.every or training.done:
            return
        standing = self.journal.watch.standing
        asked = {finding.counter: rule for rule, finding in standing.items() if finding.counter}
        # One process watches, all counter.
        flags = training.engine.agree(sum(1 << i for i, trouble in enumerate(TROUBLES) if trouble in asked))
        for i, trouble in enumerate(TROUBLES):
            if flags >> i & 1 and (done := training.objective.counter(trouble)):
                event = {"event": "remedy", "step": training.step, "rule": asked.get(trouble), "done": done}
                self.journal.write(event)


@dataclass
class Sampling:
    """A grid of samples every few steps, always from the same noise, and what is measured of them."""

    journal: Journal
    run: RunFolder
    every: int
    draw: Callable[[Objective], tuple[bytes, dict[str, Any]] | None]

    def __call__(self, training: Training) -> None:
        """Draw when it is time."""
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
    """Checkpoints, and stopping when a signal asks for it."""

    journal: Journal
    run: RunFolder
    every: int
    signals: Signals
    on_disk_full: str = "wait"

    def __call__(self, training: Training) -> None:
        """Save when it is time or asked for; stop when asked to."""
        flag = training.engine.agree(self.signals.take())
        last = training.done
        best = training.best is not None and training.best[1] == training.step
        # Weights that the last step could not be taken with are finite, but may be lost: what is kept must not be of
        # them.
        due = (training.step % self.every == 0 or best) and not training.skipped
        if due or flag != RUN or last:
            self.save(training, must=last or flag > SAVE)
        if flag > SAVE and not last:
            message = (
                f"stopped at step {training.step} of {training.plan.steps}; resume with: {self.run.resume_command}"
            )
            raise Stopped(message, EXIT_CODES[flag])

    def save(self, training: Training, *, must: bool) -> None:
        """Write a checkpoint; a full disk is reported, and final only when this checkpoint matters."""
        tensors, state = training.state()
        self.run.checkpoints.pinned = None if training.best is None else training.best[1]
        trouble: Exception | None = None
        if training.engine.is_main:
            try:
                self.run.check()
                self.run.checkpoints.save(training.step, tensors, {**state, "log_bytes": self.run.log_size()})
            except (ResourceError, ValueError) as error:
                trouble = error
        # Every process learns what happened to the one that writes.
        outcome = training.engine.agree(0 if trouble is None else 1 if isinstance(trouble, ResourceError) else 2)
        if outcome == 2 and training.step == 0:
            problem, remedy = (
                f"the weights are not finite before the first step ({trouble})",
                "change what they start from",
            )
            raise DivergenceError("E-TRN-26", self.run.path, problem, remedy)
        if outcome == 2:
            raise Rollback
        if outcome == 1 and (must or self.on_disk_full == "stop"):
            raise trouble or Stopped("the process that writes ran out of disk", ResourceError.exit_code)
        if outcome == 1:
            self.journal.write({"event": "trouble", "step": training.step, "what": str(trouble)})


def validate(objective: Objective, batches: list[Batch], known: Examples) -> dict[str, Any]:
    """What the objective makes of held-out batches; for a model with a posterior, how its latent is used.

    A dimension is active when the variance over images of its posterior mean exceeds 0.01 (*Importance Weighted
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
    """Going back to the newest checkpoint at half the learning rate, a few times at most.

    Where that did not help, its weights may be finite but lost already: the next time goes to the one before it.

    Raises (when called):
        DivergenceError: it did not help.
    """
    tried: list[int] = []

    def back(training: Training) -> None:
        at, times, factor = training.step, training.rollbacks + 1, training.rate_factor * 0.5
        if times > ROLL_BACKS:
            problem = (
                f"losses or weights are not finite at step {at}, after {ROLL_BACKS} fresh starts from a checkpoint"
            )
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
    """The value as it is logged: None for a number that is not finite, as JSON has none, and float32's own 8 digits.

    Example:
        >>> plain({"loss": 0.1234567890123, "norm": math.inf})
        {'loss': 0.12345679, 'norm': None}
    """
    if isinstance(value, float):
        return float(f"{value:.8g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value
