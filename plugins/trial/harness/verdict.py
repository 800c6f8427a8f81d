"""Judges a trial: what was acknowledged, what was stored, and what was refused."""

# A trial in which less happened shows nothing.
LEAST_ACKNOWLEDGED = 300
SHOWN = 5


def judge(senders, destination, faults, deaths):
    """The figures of the trial, and what is wrong."""
    stored = destination.stored.times()
    acknowledged, rejected = senders.acknowledged, set(senders.rejected)
    missing = acknowledged - stored.keys()
    wrongly_rejected = {n for n in rejected if not destination.is_bad(n)}
    wrongly_taken = {n for n in acknowledged if destination.is_bad(n)}
    figures = {
        "acknowledged": len(acknowledged),
        "rejected": len(rejected),
        "unknown": len(senders.unknown),
        "requests sent again": senders.again,
        "repeats at the destination": sum(stored.values()) - len(stored),
        "deaths": deaths,
        **dict(faults.counts),
        **destination.notes(),
    }
    problems = [
        _list(missing, "acknowledged and not there"),
        _list(wrongly_rejected, "rejected, and nothing is wrong with them"),
        _list(wrongly_taken, "bad, and acknowledged"),
        _list(senders.unknown, "never answered"),
    ]
    problems = [problem for problem in problems if problem]
    if len(acknowledged) < LEAST_ACKNOWLEDGED:
        problems.append(f"only {len(acknowledged)} records were acknowledged")
    if not rejected:
        problems.append("no bad record was rejected")
    if not deaths or len(faults.counts) < 2:
        problems.append("the destination did not fail")
    return figures, problems, senders.rejected


def _list(numbers, what):
    if not numbers:
        return None
    shown = ", ".join(str(number) for number in sorted(numbers)[:SHOWN])
    return f"{len(numbers)} records are {what}: {shown}, …"
