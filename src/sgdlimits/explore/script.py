"""A choice as a program that gives the same picture."""

from sgdlimits.explore.choice import MODELS, RULES, Choice
from sgdlimits.explore.curves import RECORDS


def as_python(choice: Choice) -> str:
    """Python that simulates and draws what the page shows."""
    family = MODELS[choice.model]
    own = {name: repr(value) for name, value in choice.own.items()}
    options = [f"step={choice.step!r}"]
    if choice.batch > 1:
        options.append(f"batch={choice.batch}")
    if RULES[choice.rule][1]:
        options.append(f"rule={RULES[choice.rule][1]}")
    if family.spherical:
        options.append("spherical=True")
    return f"""import sgdlimits as sl

model = {family.code.format(**own)}
sgd = sl.OnlineSGD({", ".join(options)})
options = dict(dim={choice.dim}, time={choice.time!r}, seed={choice.seed}, record={RECORDS})
limit = sl.simulate(model, sgd, "ode", runs=4, **options)
chain = sl.simulate(model, sgd, "chain", runs={choice.affordable_runs}, **options)
sl.plot(chain, limit)[0].figure.savefig("explored.png")
"""
