#!/usr/bin/env bash
#
# Whether a night would work here: every bench at the sizes of experiments/night_sweep_cpu.yaml, as
# jobs, in minutes. Takes the options of launch_all.sh; returns when all is done, and fails if
# anything did.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
exec bash "$root/slurm/launch_all.sh" --spec "$root/experiments/night_sweep_cpu.yaml" \
    --results-root "$root/target/slurm-smoke" --wait "$@"
