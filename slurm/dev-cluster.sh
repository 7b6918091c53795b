#!/usr/bin/env bash
#
# A Slurm cluster of one machine, to try the scripts of this folder on and to run tests/slurm.rs.
# For Debian and Ubuntu.
#
#   bash slurm/dev-cluster.sh install as root: slurm-wlm and munge, if missing
#   bash slurm/dev-cluster.sh up      the same, then start the daemons; last line: what to export
#   bash slurm/dev-cluster.sh down    cancel all jobs, stop the daemons
#   bash slurm/dev-cluster.sh status  what runs
#
# Everything lies in DEV_CLUSTER_DIR (default /tmp/dev-cluster-<uid>; short, for the sake of socket
# names) and listens on the loopback address from DEV_CLUSTER_PORT (default 17817) on; /etc/slurm is
# not touched. The node checks DEV_CLUSTER_GPUS GPUs (default 2), which need not exist: jobs wait
# for them and get CUDA_VISIBLE_DEVICES all the same.

set -euo pipefail

dir=${DEV_CLUSTER_DIR:-/tmp/dev-cluster-$(id -u)}
port=${DEV_CLUSTER_PORT:-17817}
gpus=${DEV_CLUSTER_GPUS:-2}
socket=$dir/munge.socket
daemons=(slurmd slurmctld munged)
export SLURM_CONF=$dir/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'dev-cluster: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# until_true SECONDS COMMAND...: whether it succeeds within that time.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

# running NAME: prints the process id of this cluster's daemon, if it runs. A stale file may name a
# stranger's process.
running() {
    local pid
    pid=$(tr -d '[:space:]' 2>/dev/null <"$dir/$1.pid") || return 1
    [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == "$1" ]] || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -qxF "SLURM_CONF=$SLURM_CONF" || return 1
    echo "$pid"
}

install_missing() {
    local missing=()
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null || missing+=(slurm-wlm)
    command -v munged >/dev/null || missing+=(munge)
    ((${#missing[@]})) || return 0
    [[ $(id -u) == 0 ]] || die "root has to install ${missing[*]} first"
    say "installing ${missing[*]}"
    # Keeps the packages from starting daemons of their own.
    local policy=/usr/sbin/policy-rc.d ours=0 code=0
    if [[ ! -e $policy ]]; then
        ours=1
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    {
        export DEBIAN_FRONTEND=noninteractive
        apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"
    } >"$dir/apt.log" 2>&1 || code=$?
    ((ours)) && rm -f "$policy"
    ((code == 0)) || die "apt-get failed: see $dir/apt.log"
}

configure() {
    local node user gres='' checks='' i
    node=$(hostname -s)
    user=$(id -un)
    mkdir -p "$dir"/{spool,state,dev}
    [[ -s $dir/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    : >"$dir/gres.conf"
    if ((gpus > 0)); then
        # The digits at the end of the device file become CUDA_VISIBLE_DEVICES.
        for ((i = 0; i < gpus; i++)); do ln -sfn /dev/null "$dir/dev/nvidia$i"; done
        echo "NodeName=$node Name=gpu File=$dir/dev/nvidia[0-$((gpus - 1))]" >"$dir/gres.conf"
        gres='GresTypes=gpu' checks="Gres=gpu:$gpus"
    fi
    # SlurmdParameters: the node is what is written here, whatever the machine is. cred_expire: a
    # requeued job waits that long before it starts again.
    cat >"$SLURM_CONF" <<EOF
ClusterName=dev
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
ReturnToService=2
KillWait=10
JobRequeue=1
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
$gres
NodeName=$node NodeAddr=127.0.0.1 CPUs=${DEV_CLUSTER_CPUS:-8} RealMemory=65536 $checks State=UNKNOWN
PartitionName=dev Nodes=$node Default=YES MaxTime=INFINITE State=UP
EOF
}

# start NAME CHECK COMMAND...: unless it runs; then waits until CHECK holds.
start() {
    local name=$1 check=$2
    shift 2
    running "$name" >/dev/null && return
    "$@" >"$dir/$name.out" 2>&1 || die "$name does not start: $(tail -n 3 "$dir/$name.out")"
    until_true 30 "$check" || die "$name does not answer: see $dir/$name.log"
}

munge_answers() { munge -n -S "$socket" | unmunge -S "$socket"; }
controller_answers() { scontrol ping | grep -q ' is UP'; }
node_ready() { sinfo -h -o %T | grep -qxE 'idle|mixed|allocated|completing'; }
no_jobs() { [[ -z $(squeue -h) ]]; }

install() {
    mkdir -p "$dir"
    install_missing
}

up() {
    mkdir -p "$dir"
    [[ -O $dir ]] || die "$dir belongs to somebody else"
    ((${#dir} <= 60)) || die "DEV_CLUSTER_DIR is too long for a socket: $dir"
    install_missing
    running slurmctld >/dev/null || configure
    start munged munge_answers munged --force --key-file="$dir/munge.key" --socket="$socket" \
        --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munged.seed"
    start slurmctld controller_answers slurmctld -f "$SLURM_CONF"
    start slurmd node_ready slurmd -f "$SLURM_CONF"
    say "$(sinfo -h -o '%c CPUs, %G: %T'), logs in $dir"
    echo "export SLURM_CONF=$SLURM_CONF"
}

down() {
    if running slurmctld >/dev/null; then
        squeue -h -o %i | while read -r job; do scancel "$job" || true; done
        until_true 30 no_jobs || say "jobs are left: $(squeue -h -o %i | paste -sd ' ')"
    fi
    local name pid
    for name in "${daemons[@]}"; do
        pid=$(running "$name") || continue
        kill "$pid"
        until_true 20 not_running "$name" || die "$name ($pid) does not end"
    done
}
not_running() { ! running "$1"; }

status() {
    local name
    for name in "${daemons[@]}"; do
        printf '%s: %s\n' "$name" "$(running "$name" || echo 'not running')"
    done
    running slurmctld >/dev/null && sinfo && squeue
}

case ${1:-} in
install | up | down | status) "$1" ;;
*)
    sed -n '3,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
