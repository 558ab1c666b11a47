# shellcheck shell=bash
# shellcheck disable=SC2034  # what ensure sets is read by those who source this
# Sourced by the commands at the top, which set ROOT, the project's folder. It runs in macOS's bash 3.2 too.
#
# ensure LAYER   (base: all that a job needs; test: what the tests need besides; docs: what builds the site besides;
#                 quickstart: base, without waiting for what has to be compiled: that goes on in the background)
#     sets PYTHON, the environment's interpreter, and WITHOUT_HOROVOD, the reason why Horovod is not there or nothing;
#     exports JAVA_HOME where Java is the environment's own; makes or updates .venv where that is needed. Where it
#     can't, it says what is missing and how to get it, sets PROBLEM to one line, and returns 1.
#     When nothing is to be done it starts no Python, but for an environment of the user's own.

# shellcheck source=environment/machine.sh
. "$ROOT/environment/machine.sh"

say() { printf 'sparktrain: %s\n' "$*" >&2; }

ensure() {
    PYTHON="" WITHOUT_HOROVOD="" PROBLEM=""
    local layer=$1 needed="base compiled" own_java="" missing="" builder="" answer="" status=0
    if [[ $layer == test || $layer == docs ]]; then needed="$needed $layer"; fi
    look_for_java
    if use_own_environment; then
        if [[ $JAVA == there ]]; then return; fi
        advise_java
        PROBLEM="missing: Java 17 or newer"
        return 1
    fi
    case $JAVA in
        broken) advise_java && missing="Java 17 or newer" ;;
        none) own_java=java ;;
    esac
    # shellcheck disable=SC2086  # these are words
    if [[ -z $missing ]] && environment_is_current $needed $own_java; then
        use_java $own_java
        return
    fi
    builder=$(find_python) || missing="${missing:+$missing, }Python 3.11, 3.12 or 3.13"
    if [[ -n $missing ]]; then
        PROBLEM="missing: $missing"
        return 1
    fi
    if [[ ! -d $ROOT/.venv && -n ${VIRTUAL_ENV:-${CONDA_PREFIX:-}} ]]; then
        say "the active environment ${VIRTUAL_ENV:-$CONDA_PREFIX} has no sparktrain, so one is made in $ROOT/.venv"
    fi
    has_compiler || [[ ${SPARKTRAIN_HOROVOD:-} == no || -f $ROOT/.venv/installed/without-horovod ]] || advise_compiler
    if [[ $layer == quickstart ]]; then needed=base; fi   # the rest goes on
    # All that it says goes to standard error; on standard output is the reason, in one line, where it fails.
    answer=$(mktemp) || answer=/dev/null
    # shellcheck disable=SC2086
    interruptible "$answer" "$builder" "$ROOT/environment/install.py" "$layer" $own_java || status=$?
    PROBLEM=$(<"$answer")
    if [[ $answer != /dev/null ]]; then rm -f "$answer"; fi
    if [[ $status != 0 ]]; then
        PROBLEM=${PROBLEM:-the environment could not be made}
        if [[ $status == 130 ]]; then PROBLEM="interrupted while the environment was made"; fi
        return 1
    fi
    # shellcheck disable=SC2086
    environment_is_current $needed $own_java || { PROBLEM="$ROOT/.venv is not what install.py should have made" && return 1; }
    use_java $own_java
}

# interruptible FILE COMMAND...: runs what may take minutes, its standard output into a file, in a process group of its own, by
# which end_group ends all that it has started.
interruptible() {
    local output=$1 status=0
    shift
    set -m
    "$@" </dev/null >"$output" &   # redirected here, and not at the call, where it would hold for a signal's handler, too
    GROUP=$!
    set +m
    wait "$GROUP" || status=$?
    GROUP=""
    return "$status"
}

# Ends what interruptible runs, for the handler of a signal; a moment later by force.
end_group() {
    local moment
    if [[ -z ${GROUP:-} ]]; then return; fi
    kill -INT -- "-$GROUP" 2>/dev/null || return 0
    for moment in {1..50}; do
        kill -0 -- "-$GROUP" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$GROUP" 2>/dev/null || true
}

# An active environment that has the package is used as it is, whatever else is in it.
use_own_environment() {
    local prefix=${VIRTUAL_ENV:-${CONDA_PREFIX:-}} answer
    if [[ -z $prefix || $prefix -ef $ROOT/.venv || ! -x $prefix/bin/python ]]; then return 1; fi
    # -P: a folder named sparktrain in the current folder is no installation.
    answer=$("$prefix/bin/python" -P -c '
from importlib.util import find_spec
print(find_spec("sparktrain") is not None, find_spec("horovod") is not None)' 2>/dev/null) || return 1
    case $answer in
        "True True") WITHOUT_HOROVOD="" ;;
        "True False") WITHOUT_HOROVOD="the active environment $prefix has none" ;;
        *) return 1 ;;
    esac
    PYTHON=$prefix/bin/python
}

# Whether these layers of .venv were made, here, from what the project's files say now: what install.py noted is compared.
environment_is_current() {
    local installed=$ROOT/.venv/installed layer
    for layer in "$@"; do stamp_is_current "$layer" || return 1; done
    WITHOUT_HOROVOD=""
    if [[ -f $installed/without-horovod ]]; then
        WITHOUT_HOROVOD=$(<"$installed/without-horovod")
        # A compiler has come since: install.py is to build it now.
        if has_compiler && [[ ${SPARKTRAIN_HOROVOD:-} != no ]]; then return 1; fi
    elif [[ ! -f $installed/horovod ]]; then
        WITHOUT_HOROVOD="it is still being compiled, in the background"
    fi
    PYTHON=$ROOT/.venv/bin/python
}

stamp_is_current() {
    local venv=$ROOT/.venv file
    [[ -x $venv/bin/python && -f $venv/installed/$1/place ]] || return 1
    [[ $(<"$venv/installed/$1/place") == "$ROOT" ]] || return 1
    for file in pyproject.toml setup.py constraints.txt environment/install.py; do
        cmp -s "$ROOT/$file" "$venv/installed/$1/${file##*/}" || return 1
    done
}

# use_java [java]: the environment's own, where it was installed.
use_java() {
    if [[ -n ${1:-} ]]; then export JAVA_HOME=$ROOT/.venv; fi
}
