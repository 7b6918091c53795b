# shellcheck shell=bash
# shellcheck disable=SC2034 # what sources this uses the variables
# What the scripts in this folder share; sourced by them, from the root of the repository.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# from PATH FOLDER: the path, where a relative one begins in that folder.
from() {
    if [[ $1 == /* ]]; then echo "$1"; else echo "$2/$1"; fi
}

# The site's settings, over the defaults.
load_site() {
    PARTITION='' ACCOUNT='' CONSTRAINT='' GRES=gpu:1 TIME=02:00:00 CPUS=4 MEM=16G
    SBATCH_EXTRA=() MODULES=() DEVICE=cuda TORCH=auto RUNS_ROOT=''
    local file=${SITE_ENV:-slurm/site.env}
    if [[ -r $file ]]; then
        # Editors on Windows put a mark first and a carriage return at the end of each line.
        # shellcheck source=/dev/null
        source /dev/stdin <<<"$(sed $'1s/^\xef\xbb\xbf//; s/\r$//' "$file")"
    elif [[ -n ${SITE_ENV:-} ]]; then
        die "SITE_ENV=$file cannot be read"
    fi
    RUNS_ROOT=${RUNS_ROOT:-$PWD/target/slurm}
}

# The site's settings as options, in the array SBATCH_OPTIONS.
sbatch_options() {
    SBATCH_OPTIONS=(--parsable --time="$TIME" --cpus-per-task="$CPUS" --mem="$MEM")
    [[ -z $PARTITION ]] || SBATCH_OPTIONS+=(--partition="$PARTITION")
    [[ -z $ACCOUNT ]] || SBATCH_OPTIONS+=(--account="$ACCOUNT")
    [[ -z $CONSTRAINT ]] || SBATCH_OPTIONS+=(--constraint="$CONSTRAINT")
    SBATCH_OPTIONS+=(${SBATCH_EXTRA[@]+"${SBATCH_EXTRA[@]}"})
}

load_modules() {
    ((${#MODULES[@]})) || return 0
    # `module` is a function of the login shell, and not written for strict mode.
    set +u
    command -v module >/dev/null || die "site.env names modules, and there is no \`module\` here"
    module load "${MODULES[@]}"
    set -u
}

# entries SPEC BIN_DIR: a line for each entry of the spec, or of that of the benches: name, type,
# group and bench, divided by tabs.
entries() {
    local program
    program=$(executable night-sweep "$2") || return
    NIGHT_SWEEP_DEVICE=${NIGHT_SWEEP_DEVICE:-$DEVICE} "$program" list --format tsv \
        ${1:+--spec "$1"}
}

# find_entry NAME ENTRIES: sets BENCH and GROUP to those of an entry.
find_entry() {
    local name
    while IFS=$'\t' read -r name _ GROUP BENCH; do
        [[ $name != "$1" ]] || return 0
    done <<<"$2"
    die "no bench runs $1: the spec has $(cut -f 1 <<<"$2" | paste -sd ' ')"
}

# executable NAME BIN_DIR: its path. In BIN_DIR it may have cargo's suffix, as in
# target/release/deps; without a BIN_DIR cargo builds it.
executable() {
    local name=$1 bin_dir=$2 kind=bench bench=$1 found
    if [[ -n $bin_dir ]]; then
        for found in "$bin_dir/$name" "$bin_dir/../$name"; do
            if [[ -x $found ]]; then
                echo "$found"
                return
            fi
        done
        found=$(find "$bin_dir" -maxdepth 1 -type f -perm -u+x -name "$name-*" -printf '%T@ %p\n' |
            sort -rn | sed -n '1s/^[^ ]* //p')
        [[ -n $found ]] ||
            die "there is no $name in $bin_dir: copy it there from target/release/deps"
    else
        # With a bench comes night-sweep; `cargo build` would compile all of it a second time.
        [[ $name != night-sweep ]] || kind=bin bench=s1_sdpa_dense
        # The bench is started by itself, not by cargo: a signal then reaches it. Cargo names it on
        # stdout, as JSON.
        found=$(cargo bench --no-run --bench "$bench" --message-format=json-render-diagnostics |
            sed -n '/"kind":\["'"$kind"'"\]/s/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
        [[ -x $found ]] || die "cargo built no executable for $name"
    fi
    echo "$found"
}
