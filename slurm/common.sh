# shellcheck shell=bash
# shellcheck disable=SC2034 # what sources this uses the variables
# What the scripts in this folder share; sourced by them, from the root of the repository.

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 2
}

# The site's settings, over the defaults.
load_site() {
    PARTITION='' ACCOUNT='' CONSTRAINT='' GRES=gpu:1 TIME=02:00:00 CPUS=4 MEM=16G
    SBATCH_EXTRA=() MODULES=() DEVICE=cuda RUNS_ROOT=''
    local file=${SITE_ENV:-slurm/site.env}
    if [[ -r $file ]]; then
        # shellcheck source=/dev/null
        source "$file"
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

# The six of a full night, in the order of the README.
EXPERIMENTS=(
    S1_sdpa_dense_sweep
    S2_sdpa_backend_forced
    G3_gemm_k_dense
    G4_gemm_n_dense_projectionlike
    P1_padding_rescue
    HET1_head_hetero_batching_penalty
)

# bench_of EXPERIMENT: the bench target that runs it, by the beginning of its name.
bench_of() {
    case $1 in
    S1_*) echo s1_sdpa_dense ;;
    S2_* | C21_*) echo s2_sdpa_backend_forced ;;
    G3_*) echo g3_gemm_k_dense ;;
    G4_*) echo g4_gemm_n_dense ;;
    P1_*) echo p1_padding_rescue ;;
    HET1_*) echo het1_head_hetero ;;
    *) return 1 ;;
    esac
}

# executable NAME BIN_DIR: its path. In BIN_DIR it may have cargo's suffix, as in target/release/deps; without a BIN_DIR
# cargo builds it.
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
        [[ -n $found ]] || die "there is no $name in $bin_dir: copy it there from target/release/deps"
    else
        # With a bench comes night-sweep; `cargo build` would compile all of it a second time.
        [[ $name != night-sweep ]] || kind=bin bench=s1_sdpa_dense
        # The bench is started by itself, not by cargo: a signal then reaches it. Cargo names it on stdout, as JSON.
        found=$(cargo bench --no-run --bench "$bench" --message-format=json-render-diagnostics |
            sed -n '/"kind":\["'"$kind"'"\]/s/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
        [[ -x $found ]] || die "cargo built no executable for $name"
    fi
    echo "$found"
}
