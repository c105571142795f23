"""``cordon bench``: measurements of this version, each beside its peers in the same run."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.printed import shown
from benchmarks.printing import print_json, print_result, print_rules, print_table, telling
from cordon.errors import CordonError
from simulators.tracks import parse_columns, read_tracks

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_INTERVAL = click.option(
    "--interval",
    "interval_s",
    type=click.FloatRange(min=1, max=3600),
    default=1,
    show_default=True,
    help="Seconds between two fixes of a device; recordings are thinned to that.",
)
_PLOT = click.option(
    "--plot",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write pictures to; needs matplotlib.",
)


@click.group()
def bench() -> None:
    """Measure this version beside its peers, in the same run.

    docs/benchmarks.md says what each command measures and what it has shown.
    """


@bench.command()
@click.option(
    "--file",
    "path",
    type=FILE,
    required=True,
    help="CSV of recordings with the truth: id, time, lat, lon, confidence_50pct_m, truth_lat, "
    "truth_lon.",
)
@click.option(
    "--radius",
    "radius_m",
    type=click.FloatRange(min=1, max=100_000),
    default=100,
    show_default=True,
    help="Metres within which two people encounter each other.",
)
@_INTERVAL
@click.option(
    "--geodesic",
    is_flag=True,
    help="Score along WGS84 geodesics, not on the plane of the published figures.",
)
@click.option("--curve", is_flag=True, help="Found against false, over the probability asked for.")
@click.option(
    "--placements",
    type=click.IntRange(2, 100_000),
    help="For the curve: so many made-up meetings of the recordings in place of their pairs.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Of the made-up meetings; the same without it."
)
@_PLOT
@_JSON
def encounters(
    path: Path,
    radius_m: float,
    interval_s: float,
    *,
    geodesic: bool,
    curve: bool,
    placements: int | None,
    seed: int | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Encounters found, missed and made up: the engine beside two plain rules.

    Every two recordings are put on one clock and scored by their truth. `raw` compares the
    distance of the last fixes, `gated` leaves out those with a confidence above 100 m or none.

    With --plot, a page is drawn for each encounter that was missed, made up, late or told more than
    once, and for a few ordinary ones; with --curve, the curve.
    """
    from benchmarks import encounter_commands  # noqa: PLC0415 - heavy: compiles

    if (placements or seed is not None) and not curve:
        raise click.UsageError("--placements and --seed belong to --curve")
    with telling() as tell:
        asked = encounter_commands.Asked(path, radius_m, interval_s, geodesic, plot, tell)
        if curve:
            result = encounter_commands.curve(asked, placements or 0, seed)
        else:
            result = encounter_commands.score(asked)
    print_result(result, as_json=as_json)


@bench.command()
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder with oxford_walks and sf_phones, as docs/engine.md describes them.",
)
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    default=5,
    show_default=True,
    help="Parts of the recordings that are left out in turn.",
)
@_PLOT
@_JSON
def fit(folder: Path, folds: int, plot: Path | None, *, as_json: bool) -> None:
    """Fit the estimator's parameters to recordings with the truth, and score what is shipped.

    Takes minutes. Prints each parameter as shipped and as fitted, the scores of both where the fit
    has not looked, and what share of the truths the claimed radii hold.
    """
    from benchmarks import fit_pictures, fit_report, fit_tracks  # noqa: PLC0415 - heavy: compiles

    with telling() as tell:
        tell("Reading the recordings")
        sets = fit_tracks.read_sets(folder)
        report = fit_tracks.run_fit(sets, folds=folds, tell=tell)
        if plot is not None:
            fit_pictures.draw_fit(plot, sets, report, tell=tell)
    print_result(fit_report.result_of(report), as_json=as_json)


@bench.command()
@click.option(
    "--tracks",
    type=FILE,
    required=True,
    help="CSV of recordings with the truth, as for `encounters`.",
)
@click.option(
    "--zones",
    "areas",
    type=FILE,
    required=True,
    help="GeoJSON FeatureCollection of Polygons and MultiPolygons.",
)
@_INTERVAL
@_JSON
def zones(tracks: Path, areas: Path, interval_s: float, *, as_json: bool) -> None:
    """Stays in zones found, missed and made up: the engine beside two plain rules.

    Every recording is watched against every zone and scored by its truth. `raw` takes the zone
    that the last fix is in, `gated` leaves out fixes with a confidence above 100 m or none.
    """
    from benchmarks.zones import run_zones  # noqa: PLC0415 - heavy: compiles

    with telling() as tell:
        report = run_zones(tracks, areas, interval_s=interval_s, tell=tell)
    if not report.true:
        raise CordonError(
            f"nobody in {tracks} stays in a zone of {areas} for 30 s, so there is nothing to score. "
            "Name zones of where the recordings were made."
        )
    if as_json:
        print_json(report)
        return
    click.echo(
        f"{report.recordings} recordings, {report.zones} zones, a fix every {interval_s:g} s; "
        f"{report.true_changes} true changes, {report.raw_changes} by the last fix; "
        f"engine {report.rules}"
    )
    columns = ("true", "found", "false", "reported", "reported_per_true")
    print_rules(columns, report, report.raw, report.gated)


@bench.command()
@click.option("--file", "path", type=FILE, help="GeodTest file of known geodesics, plain or gzip.")
@click.option(
    "--pairs",
    type=click.IntRange(100_000, 10_000_000),
    default=1_000_000,
    show_default=True,
    help="Random pairs to compare and to time.",
)
@_JSON
def distance(path: Path | None, pairs: int, *, as_json: bool) -> None:
    """The engine's distance beside pyproj.Geod: greatest error up to 20 km, and time per pair."""
    from benchmarks.distance import run_distance  # noqa: PLC0415 - heavy: compiles

    with telling() as tell:
        report = run_distance(path, pairs=pairs, tell=tell)
    if as_json:
        print_json(report)
        return
    click.echo(
        f"{report.pairs} pairs up to 20 km ({report.file_pairs} from the file): "
        f"greatest error {report.max_error_m:.2g} m"
    )
    print_table(
        ["", "ns_per_pair"],
        [
            ["engine", shown(report.ns_per_pair)],
            ["pyproj.Geod", shown(report.geod_ns_per_pair)],
            ["ratio", shown(report.ratio)],
        ],
    )


@bench.command()
@click.option(
    "--quick", is_flag=True, help="Small sizes, to see that it runs; figures mean nothing."
)
@click.option("--postgis", metavar="DSN", help="Measure this database with PostGIS beside it.")
@_PLOT
@_JSON
def engine(*, quick: bool, postgis: str | None, plot: Path | None, as_json: bool) -> None:
    """Fixes a second on one core, the sweep, and the cost of a batch by the size of the plan.

    Each fix is a step of a track, one pair and three zones of 50 vertices. Takes some minutes, and
    8 gigabytes of memory.
    """
    from benchmarks import engine_page, engine_speed  # noqa: PLC0415 - heavy: compiles

    sizes = engine_speed.QUICK if quick else engine_speed.Sizes()
    with telling() as tell:
        report = engine_speed.run_engine(sizes, postgis=postgis, tell=tell)
    print_result(engine_page.result_of(report), as_json=as_json)
    if plot is not None:
        engine_page.draw_curve(report.curve, plot)


@bench.command()
@click.option(
    "--rate",
    type=click.FloatRange(min=1, max=1_000_000),
    default=1_000,
    show_default=True,
    help="Fixes a second of all devices together.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=12, max=3_600),
    default=30,
    show_default=True,
    help="How long the load lasts; the flood as long again.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 500),
    default=1,
    show_default=True,
    help="Fixes in a message.",
)
@click.option(
    "--flood",
    is_flag=True,
    help="Afterwards the same with a flood in it: one device in a hundred at ten times its rate, "
    "a tenth malformed, a tenth sent twice, a thousand devices that send a day's buffer at once.",
)
@_JSON
def pipeline(rate: float, seconds: float, batch: int, *, flood: bool, as_json: bool) -> None:
    """The whole way from a device's fix to the alert at a handset, under load.

    Real broker, service and database, and devices that speak MQTT from a process of their own, in
    a temporary folder; beside them, in the same run, a bare relay over the same broker.
    """
    from benchmarks.pipeline import run  # noqa: PLC0415 - heavy: compiles, opens servers

    with telling() as tell:
        asked = run.Asked(rate=rate, seconds=seconds, batch=batch, flood=flood)
        report = run.run_pipeline(asked, tell)
    print_result(run.result_of(report), as_json=as_json)


@bench.command()
@click.option("--quick", is_flag=True, help="Only the few that the tests run.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this fault; may be repeated.")
@click.option(
    "--write",
    "page",
    type=FILE,
    help="Put the table into this page, in place of the one between its two marks.",
)
@_JSON
def faults(*, quick: bool, only: tuple[str, ...], page: Path | None, as_json: bool) -> None:
    """Break one thing after another under load, and count what became of every report and alert.

    Kills service, broker and database, stops them for a while, fills the journal and the disk (the
    last needs root). About a minute for each.
    """
    from benchmarks.pipeline import fault_page, faults  # noqa: PLC0415 - heavy: opens servers

    with telling() as tell:
        report = faults.run_faults(tell, quick=quick, only=only)
    if page is not None:
        fault_page.put_table(page, faults.markdown(report))
    print_result(faults.result_of(report), as_json=as_json)


@bench.command()
@click.option(
    "--open",
    "sizes",
    type=click.IntRange(1, 200_000),
    multiple=True,
    default=(100, 10_000, 100_000),
    show_default=True,
    help="Open alerts; may be repeated.",
)
@_JSON
def alerts(sizes: tuple[int, ...], *, as_json: bool) -> None:
    """What many open alerts cost a new one of tier 1, each look at what is due, and a checkpoint."""
    from benchmarks.open_alerts import run_alerts  # noqa: PLC0415 - only when asked for

    with telling() as tell:
        result = run_alerts(sizes, tell)
    print_result(result, as_json=as_json)


@bench.command()
@click.option("--file", "path", type=FILE, required=True, help="Tracks: CSV or GPX.")
@click.option("--columns", default="", help="Of a CSV file, as of `cordon simulate tracks`.")
@click.option("--time-zone", help="Of times without an offset.")
@_JSON
def conduct(path: Path, columns: str, time_zone: str | None, *, as_json: bool) -> None:
    """How often one of these "follows" another by chance, and what a look at eight days costs."""
    from benchmarks.chance import run_chance  # noqa: PLC0415 - only when asked for

    try:
        named = parse_columns(columns) if columns else None
        tracks = read_tracks([path], columns=named, time_zone=time_zone)
    except ValueError as error:
        raise CordonError(str(error)) from error
    with telling() as tell:
        result = run_chance(tracks, tell)
    print_result(result, as_json=as_json)


@bench.command()
@click.option(
    "--rows",
    type=click.IntRange(20_000, 100_000_000),
    default=200_000,
    show_default=True,
    help="Fixes in the store: a day of as many devices as that makes.",
)
@click.option(
    "--batch",
    type=click.IntRange(1_000, 1_000_000),
    default=20_000,
    show_default=True,
    help="Fixes sealed and verified in memory.",
)
@click.option(
    "--dsn",
    envvar="CORDON_BENCH_DSN",
    default="",
    help="Server to make a database of its own on, and remove it. Without it: an embedded one.",
)
@click.option(
    "--replay/--no-replay",
    "replayed",
    default=True,
    show_default=True,
    help="Whether the day is decided and replayed, which takes the longest.",
)
@_JSON
def evidence(rows: int, batch: int, dsn: str, *, replayed: bool, as_json: bool) -> None:
    """What it costs to store, seal, verify, read and replay.

    Store, sealer and replay are the service's own, on a real server. Sealing (salt, commitment, chain
    and tree) and the stand-alone verifier are also measured alone, on one core.
    """
    from benchmarks.evidence_log import run_evidence  # noqa: PLC0415 - only when asked for

    with telling() as tell:
        result = run_evidence(batch, rows, dsn, tell, replayed=replayed)
    print_result(result, as_json=as_json)
