# shellcheck shell=bash
# shellcheck disable=SC2034  # what ensure sets is read by those who source this
# Sourced by the commands at the top, which set ROOT, the project's folder. It runs in macOS's bash 3.2 too.
#
# ensure LAYER   (base: all that a job needs; test: what the tests need besides)
#     sets PYTHON, the environment's interpreter, and WITHOUT_HOROVOD, the reason why Horovod is not there or nothing;
#     makes or updates .venv where that is needed. Where it can't, it tells what is missing and how to get it, sets
#     PROBLEM to one line, and returns 1. When nothing is to be done it starts no Python, but for an environment of
#     the user's own.

say() { printf 'sparktrain: %s\n' "$*" >&2; }

ensure() {
    PYTHON="" WITHOUT_HOROVOD="" PROBLEM=""
    local layer=$1 missing=""
    java_is_there || missing="Java 17 or newer"
    if use_own_environment || environment_is_current "$layer"; then
        PROBLEM=${missing:+"missing: $missing"}
        [[ -z $missing ]]
        return
    fi
    local builder
    builder=$(find_python) || missing="${missing:+$missing, }Python 3.11"
    if [[ -n $missing ]]; then
        PROBLEM="missing: $missing"
        return 1
    fi
    if [[ ! -d $ROOT/.venv && -n ${VIRTUAL_ENV:-${CONDA_PREFIX:-}} ]]; then
        say "the active environment ${VIRTUAL_ENV:-$CONDA_PREFIX} has no sparktrain, so one is made in $ROOT/.venv"
    fi
    has_compiler || [[ ${SPARKTRAIN_HOROVOD:-} == no ]] || say "$(cat <<TEXT
no C++ compiler was found. All but Horovod will be installed, and the quickstart will train with one worker.
  Debian, Ubuntu: apt-get install g++       Fedora, RHEL: dnf install gcc-c++       macOS: xcode-select --install
  The next start after that builds Horovod.
TEXT
)"
    local status=0
    "$builder" "$ROOT/environment/install.py" "$layer" >&2 || status=$?
    if [[ $status != 0 ]]; then
        PROBLEM="the environment could not be made"
        if [[ $status == 130 ]]; then PROBLEM="interrupted while the environment was made"; fi
        return 1
    fi
    environment_is_current "$layer" || { PROBLEM="$ROOT/.venv is not what install.py should have made" && return 1; }
}

java_is_there() {
    local java=java version
    if [[ -n ${JAVA_HOME:-} ]]; then java=$JAVA_HOME/bin/java; fi
    version=$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1) || true
    if [[ -n $version && $version -ge 17 ]]; then return 0; fi
    local found="no java was found on the PATH"
    if [[ -n ${JAVA_HOME:-} ]]; then found="JAVA_HOME=$JAVA_HOME has none that runs"; fi
    if [[ -n $version ]]; then found="$java is version $version"; fi
    say "$(cat <<TEXT
Spark needs Java 17 or newer; $found. How to get it:
  Debian, Ubuntu: apt-get install openjdk-17-jre-headless
  Fedora, RHEL:   dnf install java-17-openjdk-headless
  macOS:          brew install openjdk@17, and export JAVA_HOME="\$(brew --prefix openjdk@17)"
TEXT
)"
    return 1
}

# Prints the path of a Python 3.11 that can make environments.
find_python() {
    local name found=""
    for name in python3.11 python3 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then
            found=$name
            if "$name" -c 'import ensurepip, venv' >/dev/null 2>&1; then
                command -v "$name"
                return 0
            fi
        fi
    done
    if [[ -n $found ]]; then
        say "$(command -v "$found") can make no environments: its module venv or ensurepip is missing. How to get it:"
    else
        say "Python 3.11 was not found on the PATH. How to get it:"
    fi
    cat >&2 <<'TEXT'
  Debian, Ubuntu: apt-get install python3.11 python3.11-venv
  Fedora, RHEL:   dnf install python3.11
  macOS:          brew install python@3.11
  anywhere:       pyenv install 3.11, or uv python install 3.11; then put it on the PATH
TEXT
    return 1
}

has_compiler() {
    local compiler
    for compiler in ${CXX:+"${CXX%% *}"} c++ g++ clang++; do
        if command -v "$compiler" >/dev/null 2>&1; then return 0; fi
    done
    return 1
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

# Whether .venv was made, here, from what the project's files say now; what install.py noted last is compared.
environment_is_current() {
    local venv=$ROOT/.venv part file
    for part in base "$1"; do
        [[ -x $venv/bin/python && -f $venv/installed/$part/place ]] || return 1
        [[ $(<"$venv/installed/$part/place") == "$ROOT" ]] || return 1
        for file in setup.py constraints.txt environment/install.py; do
            cmp -s "$ROOT/$file" "$venv/installed/$part/${file##*/}" || return 1
        done
    done
    WITHOUT_HOROVOD=""
    if [[ -f $venv/installed/without-horovod ]]; then
        WITHOUT_HOROVOD=$(<"$venv/installed/without-horovod")
        # A compiler has come since: install.py is to build it now.
        if has_compiler && [[ ${SPARKTRAIN_HOROVOD:-} != no ]]; then return 1; fi
    fi
    PYTHON=$venv/bin/python
}
