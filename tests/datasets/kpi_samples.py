"""Made-up KPI files in the layouts of the public data sets."""

import numpy as np
import pandas as pd

KPIS = ("buffer_b_mean", "buffer_b_max", "thr_mbps_mean", "grant_ratio_mean", "pkts_mean")
SCOPE_HEADER = (
    "Timestamp,num_ues,IMSI,RNTI,,slicing_enabled,slice_id,slice_prb,power_multiplier,scheduling_policy,,dl_mcs,"
    "dl_n_samples,dl_buffer [bytes],tx_brate downlink [Mbps],tx_pkts downlink,tx_errors downlink (%),dl_cqi,,"
    "sum_requested_prbs,sum_granted_prbs"
)


def explora_reports(num_episodes: int = 2, num_steps: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frames = []
    for episode in range(num_episodes):
        for position, name in enumerate(("embb", "mtc", "urllc")):
            mean = rng.integers(0, 1000, num_steps).astype(float)
            frames.append(
                pd.DataFrame(
                    {
                        "episode": f"motivation/exp{episode + 1}",
                        "campaign": "motivation",
                        "traffic": episode + 1,
                        "slice": name,
                        "n_ue_design": 2,
                        "n_rows": 4,
                        "step": np.arange(num_steps),
                        "t_s": np.arange(num_steps) * 1.002,
                        "prb_applied": rng.choice([6.0, 12.0, 36.0], num_steps),
                        "act_sched": rng.integers(0, 3, num_steps).astype(float),
                        "buffer_b_mean": mean,
                        "buffer_b_max": mean * 2,
                        "thr_mbps_mean": rng.random(num_steps) * (3 - position),
                        "grant_ratio_mean": rng.random(num_steps),
                        "pkts_mean": rng.integers(1, 200, num_steps).astype(float),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def explora_transitions(**sizes) -> pd.DataFrame:
    reports = explora_reports(**sizes)
    groups = reports.groupby(["episode", "slice"], sort=False)
    following = {f"next_{name}": groups[name].shift(-1) for name in KPIS}
    action = {"a_prb": groups["prb_applied"].shift(-1), "a_sched": groups["act_sched"].shift(-1)}
    return reports.assign(**following, **action).dropna().reset_index(drop=True)


def write_explora_log(path, num_reports: int, raw: bool = False):
    """Two users per slice, two reports per message; the allocation changes after the first command."""
    lines = ["2023-03-08 17:12:18,000 INFO     Agents loaded"]
    lines.append("2023-03-08 17:12:18,100 INFO     Sending to DU: '0,1,0\\n6,5,6'")
    for number in range(num_reports):
        clock = f"2023-03-08 17:12:{19 + number},304"
        prbs = (18, 15, 17) if number < 2 else (36, 3, 11)
        users = [
            f"{index},{500 * (index == 0) * user},0.50,1.00,{prbs[index]},{9 + number}"
            for index in (2, 1, 0)
            for user in (0, 1)
        ]
        message = "\\n".join(users * 2)
        if number == 1:
            lines.append(f"{clock} INFO     Sending to DU: '1,2,0\\n12,1,4'")
        if raw:
            lines.append(f"{clock} DEBUG    b'{message}\\n\\x01\\x1d'")
        if not raw or number % 3 == 0:
            lines.append(f"{clock} INFO     Received data: '{message}'")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def write_scope_run(folder, num_seconds: int):
    """Two eMBB users that get half of what they ask for, and one user in each other slice."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for user, (position, prb, buffer) in enumerate([(0, 6, 1000), (0, 6, 0), (1, 39, 0), (2, 5, 0)]):
        granted = 10 if position == 0 else 30
        rows = [SCOPE_HEADER]
        for report in range(4 * num_seconds):
            clock = 1617070530226 + 250 * report + (report % 3) - 1 + (report == 0)
            rows.append(f"{clock},4,{user},70,,1,{position},{prb},1,{position},,9,12,{buffer},0.5,7,0,9,,20,{granted}")
        files.append(folder / f"user_{user}_metrics.csv")
        files[-1].write_text("\n".join(rows) + "\n")
    return files
