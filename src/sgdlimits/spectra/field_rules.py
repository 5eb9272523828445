"""Which rule integrates over the fields that a weight sees: by how many normals are behind them."""

from typing import NamedTuple

from sgdlimits.expectations.looked_plane import LookedPlane
from sgdlimits.expectations.rules import ROUGH_LOG2, AbstractRule, QuasiMonteCarlo, rule_for
from sgdlimits.models.class_nodes import field_count
from sgdlimits.models.multi_index import MultiIndexModel

_MANY_LOG2 = 16
_LOG2 = 12  # Sobol points of a scramble, where labels are functions


class FieldRules(NamedTuple):
    """Rules, each finer than the one before; none for no variable at all.

    ``apart``: they leave out the label noise.
    """

    rules: tuple[AbstractRule, ...]
    apart: bool


def field_rules(model: MultiIndexModel, fields: int, rank: int) -> FieldRules:
    """For so many fields that are functions of ``rank`` standard normals.

    A rule that the user chose for the model, where it fits; otherwise panels that look where one or
    two variables are all there is, and the model's own rule or its like for more. A rule that
    leaves out the noise belongs to a model that knows its moments by formula, such as a committee,
    whose loss is a polynomial of the noise.
    """
    law, own = model.data, model.rule
    all_fields = field_count(law, model.width)
    apart = law.label_noises > 0 and getattr(own, "dim", None) == all_fields
    dim = rank if apart else rank + law.label_noises
    if dim == 0:
        return FieldRules((), apart)
    chosen = model.rule_is_chosen
    if isinstance(own, QuasiMonteCarlo) and chosen:
        own = QuasiMonteCarlo(dim, own.log2_nodes, own.replicates, own.seed, split=False)
    fits = fields == rank == all_fields and getattr(own, "dim", dim) == dim
    if chosen and (fits or isinstance(own, QuasiMonteCarlo)):
        return FieldRules((own,), apart)
    if dim <= 2:
        quick = (own,) if fits and own.half() is not None else ()  # its errors are honest, and seen
        # For integrands of more sharp points than there are cells.
        many = QuasiMonteCarlo(dim, _MANY_LOG2, split=False)
        return FieldRules((*quick, *_with_finer(LookedPlane(dim)), many), apart)
    return FieldRules(_with_finer(_of_many(model, own, dim, fits, fields > rank)), apart)


def _of_many(
    model: MultiIndexModel, own: AbstractRule, dim: int, fits: bool, dependent: bool
) -> AbstractRule:
    if fits:
        return own
    if model.data.labels_see_fields and isinstance(own, QuasiMonteCarlo):
        return QuasiMonteCarlo(dim, _LOG2)  # nobody knows where labels jump
    if model.jumps.moving or (dependent and model.kinks):  # at which no coordinate is split
        return QuasiMonteCarlo(dim, ROUGH_LOG2, split=False)
    return rule_for(dim, kinks=model.kinks)


def _with_finer(rule: AbstractRule) -> tuple[AbstractRule, ...]:
    finer = rule.finer()
    return (rule,) if finer is None else (rule, *_with_finer(finer))
