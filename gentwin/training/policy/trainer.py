"""Training of policy twins: first critic and generator in turns, if there are any, then the classifier."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, get_scheduler

from gentwin.models.policy import PolicyTwinModel
from gentwin.models.policy.modeling_policy import CRITIC, GENERATOR, POLICY
from gentwin.training.arguments import TwinTrainingArguments, require
from gentwin.training.policy.arguments import AugmentationArguments
from gentwin.training.policy.augmentation import Augmentation, make_augmentation, one_hot
from gentwin.training.policy.data import DecisionDataset, DecisionSplits, whole_batch
from gentwin.training.trainer import TwinTrainer

EPOCH_STEPS = 1000  # with `max_steps`, an epoch is at least as long: beginning one takes as long as some dozen steps
ADVERSARIAL_BETAS = (0.0, 0.9)  # of Adam (Gulrajani et al. 2017, algorithm 1)


class DrawsOfProcess(TrainerCallback):
    """Lets every process of a run draw synthetic decisions of its own; those of a single one are as they were.

    Weights are made before, with the same seed everywhere, and so is the order of the records. What a checkpoint holds
    of random generators, one state for each process, is read after this.
    """

    def on_train_begin(self, args, state, control, **kwargs) -> None:
        if args.world_size > 1:
            sequence = np.random.SeedSequence([args.seed, args.process_index])
            torch.manual_seed(int(sequence.generate_state(1)[0]))


class PolicyTrainer(TwinTrainer):
    """`TwinTrainer` of policy twins.

    The first `adversarial_steps` steps are those of critic and generator, `critic_updates` of the one for each of the
    other; the rest are those of the classifier. One optimiser holds all weights, in groups with learning rates of their
    own: weights that a loss has no gradient for stay as they are. So every checkpoint has the same form.

    What it adds besides: statistics are fitted before the first step, the temperature after the last.

    Args:
        model: The twin.
        args: Arguments of the run.
        splits: The decisions; training and validation are used.
        enrichment: How the training decisions are enriched.
        run_arguments: From `result_arguments`, kept in every checkpoint to be compared when the run is resumed.
        augmentation: In place of the one that `enrichment` names, for comparisons.

    Raises:
        ArgumentsError: If there are fewer training decisions than in a batch.
    """

    model: PolicyTwinModel

    def __init__(
        self,
        model: PolicyTwinModel,
        args: TwinTrainingArguments,
        splits: DecisionSplits,
        enrichment: AugmentationArguments,
        run_arguments: Mapping[str, Any] | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.enrichment = enrichment
        self._given, self.augmentation = augmentation, augmentation
        self._adversarial_losses: dict[str, list[float]] = {CRITIC: [], GENERATOR: []}
        args.remove_unused_columns = False  # batches come as columns already
        if enrichment.adversarial_steps:
            args.ddp_find_unused_parameters = True  # each loss leaves weights of the others idle
        number, batch = len(splits.train), args.global_batch_size
        limit = f"at most the number of training decisions, {number}"
        require(batch <= number, "global_batch_size", limit, batch, "choose a smaller one, or record more")
        repeats = -(-min(EPOCH_STEPS, args.max_steps) * batch // number) if args.max_steps > 0 else 1
        train, validation = DecisionDataset(splits.train, repeats), DecisionDataset(splits.validation)
        super().__init__(
            model,
            args,
            splits.fingerprint,
            run_arguments,
            train_dataset=train,
            eval_dataset=validation,
            data_collator=whole_batch,
        )
        self.add_callback(DrawsOfProcess)

    def count(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Returns what the decisions of a batch count together: 1 for each, and for synthetic ones their weight."""
        states = inputs["states"]
        return inputs["weights"].sum() if "weights" in inputs else torch.tensor(len(states), device=states.device)

    def train(self, resume_from_checkpoint: str | Path | None = None, **kwargs: Any) -> Any:
        """Fits the statistics, trains, and calibrates the confidence of the result.

        A twin that is adapted keeps the statistics that its weights rely on.

        Args:
            resume_from_checkpoint: A complete checkpoint of the same run.
            **kwargs: As in `Trainer.train`.
        """
        records = self._whole(self.train_dataset)
        if not bool(self.model.fitted):
            self.model.fit_normalization(**records)
        else:
            self.model.follow_record(records["states"], records["labels"])
        if self._given is None:
            self.augmentation = make_augmentation(self.enrichment.augmentation, self.model, records)
        output = super().train(resume_from_checkpoint, **kwargs)
        self.model.eval()
        self.model.calibrate(**self._whole(self.eval_dataset))
        return output

    @property
    def objective(self) -> str:
        """Whose loss the next step is of."""
        step, updates = self.state.global_step, self.enrichment.critic_updates
        if step >= self.enrichment.adversarial_steps:
            return POLICY
        return GENERATOR if step % (updates + 1) == updates else CRITIC

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **kwargs: Any
    ) -> Any:
        """Returns the loss of the step's objective; that of the classifier on the enriched batch."""
        objective = self.objective
        inputs = self._enriched(inputs) if objective == POLICY else inputs | {"objective": objective}
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        if objective != POLICY:
            self._adversarial_losses[objective].append(float(loss.detach()))
        return (loss, outputs) if return_outputs else loss

    def _enriched(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns a batch of recorded decisions with synthetic ones."""
        count = round(len(inputs["labels"]) * self.enrichment.synthetic_ratio)
        if self.augmentation is None or not count:
            return inputs
        first = self.enrichment.adversarial_steps
        progress = (self.state.global_step - first) / max(1, self.state.max_steps - first)
        more = self.augmentation(inputs, count, progress)
        recorded = one_hot(inputs["labels"], inputs["masks"])
        weights = [torch.ones_like(recorded[:, 0]), torch.full_like(more.shares[:, 0], more.weight)]
        return {
            "states": torch.cat((inputs["states"], more.states)),
            "masks": torch.cat((inputs["masks"], more.masks)),
            "labels": torch.cat((recorded, more.shares)),
            "weights": torch.cat(weights),
        }

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Returns the optimiser of all weights: a group for the classifier, one each for generator and critic."""
        if self.optimizer is None:
            args, twin = self.args, self.model
            kind, options = self.get_optimizer_cls_and_kwargs(args, twin)
            learnt = [weight for weight in twin.classifier.parameters() if weight.requires_grad]
            groups = [{"params": learnt, "weight_decay": args.weight_decay}]
            if self.enrichment.adversarial_steps:
                rates = self.enrichment.generator_learning_rate, self.enrichment.critic_learning_rate
                for part, rate in zip((twin.generator, twin.critic), rates, strict=True):
                    own = {"lr": rate, "betas": ADVERSARIAL_BETAS, "weight_decay": 0.0}
                    groups.append({"params": list(part.parameters()), **own})
            self.optimizer = kind(groups, **options)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        """Returns the schedule: that of the arguments over the classifier's steps, constant for the others."""
        if self.lr_scheduler is None:
            optimizer = self.optimizer if optimizer is None else optimizer
            first = self.enrichment.adversarial_steps
            steps = max(1, num_training_steps - first)
            factor = get_scheduler(
                self.args.lr_scheduler_type,
                torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0),
                self.args.get_warmup_steps(steps),
                steps,
                scheduler_specific_kwargs=self.args.lr_scheduler_kwargs,
            ).lr_lambdas[0]
            others = [lambda step: 1.0] * (len(optimizer.param_groups) - 1)
            self.lr_scheduler = LambdaLR(optimizer, [lambda step: factor(max(0, step - first)), *others])
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Logs losses of critic and generator under their own names."""
        means = {f"{name}_loss": sum(found) / len(found) for name, found in self._adversarial_losses.items() if found}
        if means and "loss" in logs:
            logs = {name: value for name, value in logs.items() if name != "loss"} | means
            self._adversarial_losses = {CRITIC: [], GENERATOR: []}
        super().log(logs, *args, **kwargs)

    def _whole(self, dataset: DecisionDataset) -> dict[str, Tensor]:
        return {name: column.to(self.model.device) for name, column in dataset.columns.items()}
