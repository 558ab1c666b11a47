#!/usr/bin/env bash
# Runs the tests, or builds the documentation's site. Makes the environment first where there is none.
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
./run-tests.sh [--quick] [--unit] [--clusters] [pytest's arguments]
./run-tests.sh --lint | --docs
    --quick   without the slow tests
    --unit    only those that start no Spark, no Hadoop and no process of their own
    --clusters   only those on YARN and on a standalone cluster
    --lint    no test: ruff, mypy and, where it is installed, shellcheck look at the code
    --docs    no test: the documentation's site is built, in build/site; a link that leads nowhere is an error
Two processes share the tests (-n 2); where a file or a test is named, one runs them (or as many as -n says).
TEXT
}

marks="" named="" lint="" layer=test nothing="no test was run"
count=$#
while [[ $count -gt 0 ]]; do   # ours are taken out, wherever they stand; all others are pytest's
    argument=$1
    shift
    count=$((count - 1))
    case $argument in
        --quick) marks="${marks:+$marks and }not slow" ;;
        --unit) marks="${marks:+$marks and }not real" ;;
        --clusters) marks="${marks:+$marks and }clusters" ;;
        --lint) lint=yes nothing="nothing was looked at" ;;
        --docs) layer=docs nothing="the site was not built" ;;
        -h | --help) usage && exit ;;
        *)
            set -- "$@" "$argument"
            case $argument in tests/* | -n*) named=yes ;; esac
            ;;
    esac
done
trap 'end_group; exit 130' INT TERM HUP
ensure "$layer" || { say "$nothing; $PROBLEM" && exit 1; }
cd "$ROOT"
if [[ $layer == docs ]]; then
    if ! "$PYTHON" -c 'import mkdocs' 2>/dev/null; then   # an environment of the user's own
        say "$nothing; $PYTHON has no mkdocs: pip install -c constraints.txt '.[docs]'" && exit 1
    fi
    export NO_MKDOCS_2_WARNING=1
    exec "$PYTHON" -m mkdocs build --strict --site-dir build/site
fi
if [[ -n $lint ]]; then
    "$PYTHON" -m ruff check .
    "$PYTHON" -m ruff format --check .
    "$PYTHON" -m mypy
    if command -v shellcheck >/dev/null; then shellcheck --external-sources ./*.sh environment/*.sh conf/*.sh .ci/run; fi
    exit
fi
export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
if [[ -n $WITHOUT_HOROVOD ]]; then say "Horovod is not there: $WITHOUT_HOROVOD. The tests that need it will fail."; fi
if [[ -z $named ]]; then set -- -n 2 "$@"; fi
exec "$PYTHON" -m pytest ${marks:+-m "$marks"} "$@"
