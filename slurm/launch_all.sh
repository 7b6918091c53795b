#!/usr/bin/env bash
#
# The experiments as jobs, and a job that waits for them, writes the index page and prints a
# summary.
#
#   bash slurm/launch_all.sh [--array N] [--dry-run] [--wait] [--results-root DIR] [--spec FILE]
#       [--bin-dir DIR] [--only NAME]...
#
# Without --only, what `cargo bench` runs: the first entry of the spec for each bench. --array N:
# each sweep in N shards, on as many GPUs as the cluster has free; the last job merges them.
# --dry-run prints the sbatch lines and submits nothing. --wait returns when all is done, with the
# exit code of the last job. --only: this experiment, and others so named, in place of all. Relative
# paths begin where you stand.

set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=slurm/common.sh
source slurm/common.sh
[[ -z ${SITE_ENV:-} ]] || SITE_ENV=$(from "$SITE_ENV" "$here")
load_site
sbatch_options

shards='' dry_run=0 wait=0 results_root=target-reports spec='' bin_dir='' only=()
while (($#)); do
    case $1 in
    --dry-run) dry_run=1 && shift && continue ;;
    --wait) wait=1 && shift && continue ;;
    --array | --results-root | --spec | --bin-dir | --only) (($# >= 2)) || die "$1 needs a value" ;;
    *)
        allowed='--array, --dry-run, --wait, --results-root, --spec, --bin-dir, --only'
        die "there is no option $1: allowed are $allowed"
        ;;
    esac
    case $1 in
    --array)
        [[ $2 =~ ^[1-9][0-9]{0,2}$ ]] || die "--array $2: allowed is a whole number from 1 to 999"
        shards=$2
        ;;
    --results-root) results_root=$(from "$2" "$here") ;;
    --spec) spec=$(from "$2" "$here") ;;
    --bin-dir) bin_dir=$(from "$2" "$here") ;;
    --only) only+=("$2") ;;
    esac
    shift 2
done
[[ -n $spec || -z ${NIGHT_SWEEP_SPEC:-} ]] || spec=$(from "$NIGHT_SWEEP_SPEC" "$here")
passed_on=(--results-root "$results_root" ${spec:+--spec "$spec"} ${bin_dir:+--bin-dir "$bin_dir"})
finish=(--results-root "$results_root" ${bin_dir:+--bin-dir "$bin_dir"})

# Refuses a spec that cannot be run, before anything is submitted.
found=$(entries "$spec" "$bin_dir")
experiments=()
if ((${#only[@]})); then
    for exp in "${only[@]}"; do find_entry "$exp" "$found"; done
    experiments=("${only[@]}")
else
    declare -A seen=()
    while IFS=$'\t' read -r exp _ _ bench; do
        [[ -z ${seen[$bench]:-} ]] || continue
        seen[$bench]=1
        experiments+=("$exp")
    done <<<"$found"
fi

# submit OPTION...: sbatch, which prints the job's number; with --dry-run its line, and a number
# that is none.
submitted=0
submit() {
    if ((dry_run)); then
        printf 'sbatch' >&2
        printf ' %q' "$@" >&2
        printf '\n' >&2
        echo "<job $submitted>"
    else
        sbatch "$@" | cut -d ';' -f 1
    fi
}

((dry_run)) || mkdir -p slurm_logs
stamp=$(date +%Y%m%d_%H%M%S)
jobs=() runs=()
for exp in "${experiments[@]}"; do
    options=("${SBATCH_OPTIONS[@]}" --job-name="$exp")
    [[ -z $GRES ]] || options+=(--gres="$GRES")
    arguments=(--exp "$exp" --run-id "${stamp}_$exp" "${passed_on[@]}")
    if [[ -n $shards ]]; then
        options+=(--array="1-$shards" --output='slurm_logs/%A_%a_%x.out')
        arguments+=(--shards "$shards")
    fi
    submitted=$((submitted + 1))
    job=$(submit "${options[@]}" slurm/run_experiment.sbatch "${arguments[@]}")
    jobs+=("$job")
    runs+=("${stamp}_$exp")
    ((dry_run)) || printf '%s %s: slurm_logs/%s\n' "$job" "$exp" "${job}_*.out"
done

# Also after jobs that failed: the summary says which.
after=$(IFS=: && echo "${jobs[*]}")
[[ -z $shards ]] || finish+=(--shards "$shards")
options=("${SBATCH_OPTIONS[@]}" --job-name=night-sweep-summary --dependency="afterany:$after")
((wait)) && options+=(--wait)
watch='watch: squeue -u %q; tail -f slurm_logs/*; stop: scancel %s\n'
# shellcheck disable=SC2059 # it is a format
((dry_run)) || printf "$watch" "$(id -un)" "${jobs[*]}"
code=0
job=$(submit "${options[@]}" slurm/summary.sbatch "${finish[@]}" "${runs[@]}") || code=$?
((dry_run)) && exit 0
printf '%s summary: slurm_logs/%s_night-sweep-summary.out\n' "$job" "$job"
if ((wait)); then
    cat "slurm_logs/${job}_night-sweep-summary.out"
fi
exit "$code"
