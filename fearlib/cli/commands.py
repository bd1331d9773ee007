"""Every command by its name."""

import typer
from typer.core import TyperCommand

from fearlib.cli import architectures, choices, choosing, results, sweeps, truth
from fearlib.plugin import import_plugin


class _Command(TyperCommand):
    """One that looks up names, so that the user's own module must have added its own before."""

    def invoke(self, ctx):
        import_plugin()
        return super().invoke(ctx)


app = typer.Typer(
    name="fear",
    help="Rank neural architectures reproducibly: FEAR, short training and zero-cost measures on NATS-Bench.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
truth_app = typer.Typer(help="The benchmark's own test accuracies.", no_args_is_help=True)

app.command("list", cls=_Command)(choices.list_choices)
app.command(cls=_Command)(sweeps.rank)
app.command(cls=_Command)(sweeps.paper)
app.command(cls=_Command)(choosing.choose)
app.command(cls=_Command)(choosing.funnel)
app.command(cls=_Command)(architectures.score)
app.command(cls=_Command)(architectures.show)
app.command(cls=_Command)(results.table)
app.command()(results.status)  # which looks up none
app.command(cls=_Command)(results.merge)
app.command(cls=_Command)(results.report)
app.command(cls=_Command)(choices.data)
app.add_typer(truth_app, name="truth")
truth_app.command(cls=_Command)(truth.show)
truth_app.command(cls=_Command)(truth.export)
