"""Turns the samples of a run into tables, ratios against what is to be reached, RESULTS.md and plots. Measures nothing."""

import pathlib

import workloads

BENCH = pathlib.Path(__file__).resolve().parent


def _find(result, workload, row):
    for each in result["workloads"].get(workload, []):
        if each["row"] == row and "cpu_us" in each:
            return each
    return None


def openssl_line(speed):
    return f"openssl speed rsa2048: verify {speed['verify_us']:.1f} us, sign {speed['sign_us']:.1f} us"


def process_table(figures):
    return "\n### The process, default settings\n\n| | |\n| --- | --- |\n" + "\n".join(
        f"| {what} | {value:.1f} {unit} |" for what, value, unit in figures)


def _against(name, rows):
    """The row that the others are held against, by workload."""
    if name == "e":
        return lambda row: next((r for r in rows if r["row"] == "gateway: " + row["row"].rpartition(": ")[2]), None)
    if name == "h":
        return lambda row: next((r for r in rows if r["row"] == "gateway, " + row["row"].rpartition(", ")[2]), None)
    if name == "g":
        return lambda row: next((r for r in rows if r["row"].startswith("gateway, ")), None)
    if name == "f":
        return lambda row: next(
            (r for r in rows if r["row"].startswith("gateway, ") and r["row"].endswith(row["row"].split(", ")[-1])), None)
    return lambda row: rows[0] if name in ("i", "j") else next((r for r in rows if r["row"] == "gateway"), None)


def table(name, rows):
    """Medians with the least and the most of the rounds, and ratios to the gateway's (or, in i and j, to the first) row."""
    base = _against(name, rows)
    who = "first row" if name in ("i", "j") else "gateway"
    lines = [
        f"\n### ({name}) {workloads.ALL[name][0]}\n",
        f"| | CPU µs a request | least to most | requests/s | CPU, {who} = 1 | requests/s, {who} = 1 | p50 µs | p99 µs | p99.9 µs |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        if "cpu_us" not in row:
            lines.append(f"| {row['row']} | not measured: {' '.join(row['trouble'].split())} |" + " |" * 7)
            continue
        cpu, rate, other = row["cpu_us"], row["rate"], base(row)
        ratios = ["", ""]
        if other and "cpu_us" in other:
            ratios = [f"{cpu['median'] / other['cpu_us']['median']:.2f}",
                      f"{rate['median'] / other['rate']['median']:.3g}"]
        latency = row.get("latency_us", {})
        marks = [f"{latency[m]:.0f}" if latency else "" for m in ("p50", "p99", "p99.9")]
        lines.append(
            f"| {row['row']} | {cpu['median']:.2f} | {cpu['min']:.2f}–{cpu['max']:.2f} | {rate['median']:.0f} | "
            f"{ratios[0]} | {ratios[1]} | {' | '.join(marks)} |")
    return "\n".join(lines)


def targets(result):
    """(what, value, bound, reached) of every ratio that this run can show."""
    found = []

    def ratio(what, top, bottom, bound, most=True, key="cpu_us"):
        top, bottom = _find(result, *top), _find(result, *bottom)
        if top and bottom:
            value = top[key]["median"] / bottom[key]["median"]
            found.append((what, value, bound, most, value <= bound if most else value >= bound))

    gate, plain = "gateway", "nginx return 200"
    ratio("(a) CPU against nginx return 200", ("a", gate), ("a", plain), 0.85)
    ratio("(a) CPU against the bare epoll loop", ("a", gate), ("a", "epoll loop"), 1.35)
    for peer, bound in (("Envoy, token cache", 3.5), ("Go net/http", 10), ("Flask, keys in memory", 50)):
        ratio(f"(a) throughput against {peer}", ("a", gate), ("a", peer), bound, False, "rate")
    ratio("(b) CPU against (a)", ("b", gate), ("b", "gateway, one token (a)"), 1.1)
    ratio("(c) CPU against the evhttp stub with one verification", ("c", gate), ("c", "evhttp stub + verify"), 1.2)
    ratio("(c) throughput against Envoy without cache", ("c", gate), ("c", "Envoy, no cache"), 2.5, False, "rate")
    ratio("(d) CPU against nginx return 200", ("d", gate), ("d", plain), 1.15)
    ratio("(e) no token, CPU against (a)", ("e", "gateway: no token"), ("a", gate), 1)
    ratio("(e) bad signature, CPU against (c)", ("e", "gateway: bad signature"), ("c", gate), 1)
    for clients in (32, 256):
        ratio(f"(f) throughput, {clients} clients, against nginx return 200 as auth server",
              ("f", f"gateway, {clients} clients"), ("f", f"nginx return 200, {clients} clients"), 0.97, False, "rate")
    one, two = _find(result, "i", "gateway, 1 loop"), _find(result, "i", "gateway, 2 loops")
    if one and two:
        value = 2 * one["cpu_us"]["median"] / two["cpu_us"]["median"]
        found.append(("(i) two loops: 2 x CPU a request with one / with two", value, 1.8, False, value >= 1.8))
    bounds = {"memory (RssAnon), idle": 6, "10,000 tokens remembered add": 5, "10,000 idle connections add": 40,
              "exec to the first 200, keys in the state folder": 30}
    for what, value, unit in result.get("process", []):
        if what in bounds:
            found.append((f"{what}, {unit}", value, bounds[what], True, value <= bounds[what]))
    return found


def targets_table(found):
    lines = ["\n### What is to be reached\n", "| | measured | bound | |", "| --- | ---: | ---: | --- |"]
    for what, value, bound, most, reached in found:
        lines.append(
            f"| {what} | {value:.2f} | at {'most' if most else 'least'} {bound:g} | {'reached' if reached else '**missed**'} |")
    return "\n".join(lines)


def write(result, found):
    """RESULTS.md and the plots of a whole run."""
    texts = [
        "# Results", "",
        f"Written by `bench/run` ({result['rounds']} rounds of {result['seconds']:g} s for each row, "
        f"{result['took_seconds'] / 60:.0f} minutes); nothing here is edited by hand. How it is measured: "
        "[README.md](README.md). Absolute figures depend on the machine; ratios within one run are what counts.", "",
        f"A head of {result['head_bytes']} bytes with a token of {result['token_bytes']} bytes. {openssl_line(result['openssl'])}.",
        "", "| | |", "| --- | --- |", *(f"| {what} | {which} |" for what, which in result["versions"].items())]
    for name, why in result["absent"].items():
        texts.append(f"\nLeft out: {name}: {' '.join(why.split())[:200]}")
    texts.append(targets_table(found))
    texts += ["", "![CPU time a request](plots/cpu.svg)", "![Throughput](plots/throughput.svg)",
              "![Latency at a fixed rate](plots/latency.svg)", "![Cache size](plots/cache.svg)"]
    texts += [table(name, rows) for name, rows in result["workloads"].items()]
    texts.append(process_table(result["process"]))
    (BENCH / "RESULTS.md").write_text("\n".join(texts) + "\n")
    plots(result)


def plots(result, folder=BENCH / "plots"):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "bench", "font.size": 9, "svg.fonttype": "none"})
    from matplotlib import pyplot

    folder.mkdir(exist_ok=True)

    def save(figure, name):
        figure.tight_layout()
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        pyplot.close(figure)

    for key, name, title in (
            ("cpu_us", "cpu", "CPU µs a request (logarithmic; less is better)"),
            ("rate", "throughput", "requests a second on one core (logarithmic; more is better)")):
        figure, axes = pyplot.subplots(1, 3, figsize=(13, 4))
        for axis, workload in zip(axes, ("a", "c", "d")):
            rows = [r for r in result["workloads"].get(workload, []) if key in r and "wrk" not in r["row"]]
            rows.sort(key=lambda r: r[key]["median"], reverse=key == "cpu_us")
            bars = axis.barh(
                [r["row"] for r in rows], [r[key]["median"] for r in rows],
                xerr=[[r[key]["median"] - r[key]["min"] for r in rows], [r[key]["max"] - r[key]["median"] for r in rows]],
                color=["#d2541b" if r["row"] == "gateway" else "#8aa0b4" for r in rows], error_kw={"lw": 0.8})
            axis.bar_label(bars, fmt=lambda v: f"{v:.1f}" if v < 100 else f"{v:,.0f}", padding=4, fontsize=7)
            axis.set_xscale("log")
            axis.margins(x=0.2)
            axis.set_title(f"({workload}) {workloads.ALL[workload][0]}", fontsize=9)
        figure.suptitle(title)
        save(figure, name)

    figure, axis = pyplot.subplots(figsize=(9, 5))
    for row in result["workloads"].get("g", []):
        if "cpu_us" not in row:
            continue
        counts = {}
        for sample in row["samples"]:
            for upper, count in sample["histogram"]:
                counts[upper] = counts.get(upper, 0) + count
        total, so_far, x, y = sum(counts.values()), 0, [], []
        for upper in sorted(counts):
            so_far += counts[upper]
            x.append(upper)
            y.append(max(1 - so_far / total, 1e-5))
        ours = row["row"].startswith("gateway")
        axis.plot(x, y, label=row["row"], lw=2.4 if ours else 1.1, color="#d2541b" if ours else None)
    axis.set(xscale="log", yscale="log", xlabel="µs from the moment a request was due", ylabel="share of slower requests",
             title="(g) latency at half of each server's own capacity", ylim=(1e-4, 1))
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7)
    save(figure, "latency")

    figure, axis = pyplot.subplots(figsize=(6, 4))
    rows = [r for r in result["workloads"].get("j", []) if "cpu_us" in r]
    axis.errorbar(
        [int(r["row"].split()[0]) for r in rows], [r["cpu_us"]["median"] for r in rows],
        yerr=[[r["cpu_us"]["median"] - r["cpu_us"]["min"] for r in rows],
              [r["cpu_us"]["max"] - r["cpu_us"]["median"] for r in rows]], marker="o", color="#d2541b", capsize=3)
    axis.set(xscale="log", xlabel="tokens remembered, asked in turn", ylabel="CPU µs a request", title="(j) cache size")
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    save(figure, "cache")
