#!/usr/bin/env bash
# Trains. Makes the environment first where there is none; all else is the launcher's, in sparktrain/launcher.
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

# The end of a run for which there is no Python yet, told as every other end is.
fail() {
    if [[ -z $IS_JOB ]]; then exit "${2:-1}"; fi   # one of the user's own prints what it likes
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

# A signal while the environment is made: what makes it is ended with us.
stopped() {
    trap '' TERM INT HUP
    end_group
    fail "stopped from outside by SIG$1 before Spark was started" $((128 + $(kill -l "$1")))
}

# Sets IS_JOB where a JSON line is to say how it ends: for the quickstart, and one of the project's job programs with its
# --config; and RUN_ID and RESULT_FILE, its run's name and the file for the line, where they are given. The launcher parses the
# same with care; this is for when it can't be started.
look_for_job() {
    IS_JOB="" RUN_ID="" RESULT_FILE=""
    if [[ $# == 0 ]]; then IS_JOB=yes; fi
    local word program="" option=""
    for word in "$@"; do
        if [[ -z $program ]]; then
            case ${word##*/} in
                train.py | prepare.py | quickstart.py)
                    if [[ $word -ef $ROOT/jobs/${word##*/} || ( ! -e $word && $word == jobs/* ) ]]; then program=$word; fi ;;
            esac
            continue
        fi
        case $option in
            --run-id) RUN_ID=$word ;;
            --result) RESULT_FILE=$word ;;
        esac
        option=$word
        case $word in
            --config | --config=*) IS_JOB=yes ;;
            --run-id=*) RUN_ID=${word#*=} ;;
            --result=*) RESULT_FILE=${word#*=} ;;
        esac
    done
}

case ${1:-} in -h | --help) usage && exit ;; esac
look_for_job "$@"
trap 'stopped TERM' TERM
trap 'stopped INT' INT
trap 'stopped HUP' HUP
layer=base
if [[ $# == 0 ]]; then
    say "the quickstart: a Hadoop on this machine, a year's flights on it, and an LSTM trained on them by two workers."
    say "It takes 1 to 3 minutes; the first time 4 to 8, with 1 GB to fetch, 3.5 GB on disk and 5 GB of memory."
    layer=quickstart
fi
ensure $layer || fail "$PROBLEM"
# The launcher stays beside spark-submit: it relays signals, and prints the JSON line, whatever the end. A signal that comes
# before it can hear one waits, where env can have it wait.
wait=(env)
# shellcheck disable=SC2054  # one word
if env --block-signal=TERM true 2>/dev/null; then wait=(env --block-signal=TERM,INT,HUP); fi
exec "${wait[@]}" "$PYTHON" -P -m sparktrain.launcher "$ROOT" "$WITHOUT_HOROVOD" "$@"
