#!/usr/bin/env bash
# Trains. Makes the environment first where there is none.
set -euo pipefail
SELF=${BASH_SOURCE[0]}
while [[ -L $SELF ]]; do   # a link to it, wherever that lies
    LINK=$(readlink "$SELF")
    case $LINK in /*) SELF=$LINK ;; *) SELF=$(dirname "$SELF")/$LINK ;; esac
done
ROOT=$(cd "$(dirname "$SELF")" && pwd -P)
# shellcheck source=environment/ensure.sh
. "$ROOT/environment/ensure.sh"

usage() {
    cat <<'TEXT'
./spark-submit.sh
    The quickstart: a Hadoop on this machine, real data on it, and an LSTM trained by two workers.

./spark-submit.sh [spark-submit's options] jobs/train.py --config FILE.yaml [--set KEY=VALUE]... [--run-id ID] [--check]
    A job. spark-submit's usual options are in conf/spark-defaults.conf; `--master yarn` and all the others go before
    the program. The current folder stays what it is: paths and modules of your own are found in it.

./spark-submit.sh [spark-submit's options] jobs/prepare.py --config FILE.yaml --to URL [--set KEY=VALUE]...
    Prepares a job's rows once, and writes them for `data.prepared: URL` in the YAMLs of jobs that train on them.

./spark-submit.sh [spark-submit's options] jobs/doctor.py [--output URL] [--workers N] [--engine NAME]
    Is this cluster fit to train on? A table, and a report as JSON; exit status 0 if nothing is bad.

Of a job, standard output has what its own code prints, and last one JSON object that says how the run ended, as the exit
status does: 0 where the model, or the prepared rows, are on the storage, 2 where the configuration can't work, else 1. All
else is on standard error, but for Spark's own log: that is a file, which is named; --verbose shows it here.
TEXT
}

# The end of a run that never came to Spark, told as every other end is. There may be no Python to tell it.
fail() {
    if [[ $JOB_INDEX -le 0 && -n $PROGRAM_INDEX ]]; then exit "${2:-1}"; fi   # one of the user's own prints what it likes
    local run=null status=failed
    if [[ -n $RUN_ID ]]; then run=$(json_string "$RUN_ID"); fi
    if [[ -n ${2:-} ]]; then status=stopped; fi
    local line='{"run": '$run', "output": null, "status": "'$status'", "rows": 0, "epochs": 0, "workers": 0, '
    line=$line'"engine": null, "attempts": 0, "seconds": 0.0, "metrics": {}, "reason": '$(json_string "$1")', "version": 1}'
    if [[ -n $RESULT_FILE ]]; then printf '%s\n' "$line" >"$RESULT_FILE" || true; fi
    printf '%s\n' "$line"
    exit 1
}

json_string() {
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\n'/\\n}
    printf '"%s"' "${text//[[:cntrl:]]/ }"
}

# A signal while there is no Spark: what makes the environment, or starts Hadoop, is ended with us.
stopped() {
    trap '' TERM INT HUP
    end_group
    fail "stopped from outside by SIG$1 before Spark was started" $((128 + $(kill -l "$1")))
}

# Sets PROGRAM_INDEX, of the first of spark-submit's arguments that is no option of its own: a name that no variable of
# the user's has. Only a program of the project's jobs/ may be named without its folder.
read_arguments() {
    PROGRAM_INDEX=0
    local index=1
    while [[ $index -le $# ]]; do
        case ${!index} in
            -v | --verbose | -h | --help | --version | --supervise | --usage-error | --load-spark-defaults | --*=*)
                index=$((index + 1)) ;;
            -*) index=$((index + 2)) ;;
            *) PROGRAM_INDEX=$index && break ;;
        esac
    done
}

# Sets JOB_INDEX, the same again where the program runs one job and is given its --config, else 0: such a one is
# checked before Spark starts, and ends with the JSON line. And RESULT_FILE, what it is to write the line into, too,
# and RUN_ID, the run's name, where it was given one.
recognise_job() {
    JOB_INDEX=0 RESULT_FILE="" RUN_ID=""
    if [[ $PROGRAM_INDEX == 0 ]]; then return; fi
    local program=${!PROGRAM_INDEX} rest=$((PROGRAM_INDEX + 1))
    if [[ ! -e $program && $program == jobs/*.py ]]; then program=$ROOT/$program; fi
    if [[ $program -ef $ROOT/jobs/doctor.py ]]; then JOB_INDEX=-$PROGRAM_INDEX && return; fi   # given what a job would get
    case ${program##*/} in train.py | prepare.py | quickstart.py) ;; *) return ;; esac   # others take a job's file, too, in their own way
    if [[ ! $program -ef $ROOT/jobs/${program##*/} || " ${*:rest} " != *" --config"[\ =]* ]]; then return; fi
    JOB_INDEX=$PROGRAM_INDEX
    set -- "${@:rest}"
    while [[ $# -gt 0 ]]; do
        case $1 in
            --result) RESULT_FILE=${2:-} ;;
            --result=*) RESULT_FILE=${1#*=} ;;
            --run-id) RUN_ID=${2:-} ;;
            --run-id=*) RUN_ID=${1#*=} ;;
        esac
        shift
    done
}

# What Spark reads from its environment.
set_up_spark() {
    export SPARK_CONF_DIR=${SPARK_CONF_DIR:-$ROOT/conf}
    # A cluster's own Spark is the one that its nodes have, too; without one the environment's own is used.
    if [[ -n ${SPARK_HOME:-} ]]; then
        check_spark
    elif [[ $PYTHON == "$ROOT/.venv/"* ]]; then
        SPARK_HOME=$(echo "$ROOT"/.venv/lib/python3*/site-packages/pyspark)
        export SPARK_HOME
    fi
    if [[ -z ${HADOOP_CONF_DIR:-}${YARN_CONF_DIR:-} ]]; then use_running_sandbox; fi
}

# Barrier stages of Arrow batches with a resource profile came with Spark 4.0.
check_spark() {
    local core version
    core=$(echo "$SPARK_HOME"/jars/spark-core_*.jar)
    version=${core##*-}
    version=${version%.jar}
    if [[ ! -x $SPARK_HOME/bin/spark-submit || ! -f $core ]]; then
        fail "SPARK_HOME=$SPARK_HOME holds no Spark (bin/spark-submit, jars/spark-core_*.jar): unset it to use the environment's own"
    fi
    case $version in
        [0-3].*) fail "SPARK_HOME=$SPARK_HOME is Spark $version, and 4.0 or newer is needed: set it to a newer one, or unset it to use the environment's own" ;;
    esac
    say "Spark is SPARK_HOME's, $version: $SPARK_HOME"
}

# Without a Hadoop of the user's own, hdfs:///... is the sandbox's, while it is up.
use_running_sandbox() {
    # One of these files is there while it is up, so that no Python starts where none is.
    if [[ -f ${XDG_DATA_HOME:-~/.local/share}/sparktrain/sandbox/state.json || -f /var/tmp/sparktrain-$UID/sandbox/state.json ]] &&
        "$PYTHON" -P -m sparktrain.sandbox status >/dev/null 2>&1; then
        HADOOP_CONF_DIR=$("$PYTHON" -P -m sparktrain.sandbox conf)
        export HADOOP_CONF_DIR
        say "Hadoop is the sandbox that is running"
    fi
}

# A Python stays beside spark-submit: it checks a job first, relays signals, and prints the JSON line, whatever the end.
# A signal that comes before it can hear one waits, where env can have it wait.
submit() {
    local command
    command=$(dirname "$PYTHON")/spark-submit
    if [[ -n ${SPARK_HOME:-} ]]; then command=$SPARK_HOME/bin/spark-submit; fi
    local wait=(env)
    # shellcheck disable=SC2054  # one word
    if env --block-signal=TERM true 2>/dev/null; then wait=(env --block-signal=TERM,INT,HUP); fi
    exec "${wait[@]}" "$PYTHON" -P -m sparktrain.launcher "$JOB_INDEX" "$command" "$@"
}

quickstart() {
    say "starting a Hadoop on this machine (10 to 30 s). It stays up; to stop it: $(printf %q "$PYTHON") -m sparktrain.sandbox stop"
    interruptible /dev/null "$PYTHON" -P -m sparktrain.sandbox start --brief || fail "the sandbox Hadoop did not start"
    HADOOP_CONF_DIR=$("$PYTHON" -P -m sparktrain.sandbox conf) || fail "the sandbox Hadoop did not stay up"
    export HADOOP_CONF_DIR
    cd "$ROOT"
    set -- --master "local-cluster[2,1,1024]" jobs/quickstart.py --config conf/quickstart.yaml
    if [[ -n $WITHOUT_HOROVOD && -f $ROOT/.venv/installed/horovod ]]; then WITHOUT_HOROVOD=""; fi   # it has come meanwhile
    if [[ -n $WITHOUT_HOROVOD && $PYTHON == "$ROOT/.venv/"* ]]; then
        say "Horovod is not there: $WITHOUT_HOROVOD. So TensorFlowOnSpark trains, to the same model."
        set -- "$@" --set training.engine=tensorflowonspark
    elif [[ -n $WITHOUT_HOROVOD ]]; then
        say "Horovod is not there: $WITHOUT_HOROVOD. So one worker trains, with engine single."
        set -- "$@" --set training.engine=single --set training.workers=1
    fi
    read_arguments "$@"
    recognise_job "$@"
    set_up_spark
    submit "$@"
}

job() {
    set_up_spark
    if [[ $PROGRAM_INDEX != 0 ]]; then
        local program=${!PROGRAM_INDEX} rest=$((PROGRAM_INDEX + 1))
        if [[ ! -e $program && $program == jobs/*.py && -e $ROOT/$program ]]; then
            set -- "${@:1:PROGRAM_INDEX-1}" "$ROOT/$program" "${@:rest}"
        fi
    fi
    submit "$@"
}

case ${1:-} in -h | --help) usage && exit ;; esac
PROGRAM_INDEX="" JOB_INDEX=0 RESULT_FILE="" RUN_ID=""
trap 'stopped TERM' TERM
trap 'stopped INT' INT
trap 'stopped HUP' HUP
if [[ $# != 0 ]]; then
    read_arguments "$@"
    recognise_job "$@"
fi
if [[ $# == 0 ]]; then
    say "the quickstart: a Hadoop on this machine, a year's flights on it, and an LSTM trained on them by two workers."
    say "It takes 1 to 3 minutes; the first time 4 to 8, with 1 GB to fetch, 3.5 GB on disk and 5 GB of memory."
    ensure quickstart || fail "$PROBLEM"
    quickstart
else
    ensure base || fail "$PROBLEM"
    job "$@"
fi
